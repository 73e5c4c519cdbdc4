import { text } from '@tb/command-line';

/** Which autoencoder. */
export const vaeOption = text('autoencoder: run of tb-train, .safetensors file or official .ckpt', 'path');
