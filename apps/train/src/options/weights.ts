// Options that name weights.
import { text } from '@tb/command-line';

export const vaeOption = text('autoencoder: run folder of tb-train vae, .safetensors file or official .ckpt', {
  placeholder: 'path',
});

export const initialOption = text('run folder or weights to start from', { placeholder: 'path' });
