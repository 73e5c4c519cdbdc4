import { choice, text } from '@tb/command-line';

/** Which autoencoder. */
export const vaeOptions = {
  vae: text('autoencoder: run of tb-train, .safetensors file or official .ckpt', 'path'),
  vaePreset: choice('size of an autoencoder whose file does not tell (default: kl16)', ['demo', 'kl16']),
};
