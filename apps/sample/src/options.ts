// Options of several commands, and what they default to.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { text } from '@tb/command-line';

/** The weights of the demo of tb-train: in a checkout, or where @tb/train is installed next to this package. */
export function demoWeights(kind: 'model' | 'vae'): string | undefined {
  const path = fileURLToPath(new URL(`../../train/demo/${kind}.safetensors`, import.meta.url));
  return existsSync(path) ? path : undefined;
}

/** For the help: what an option of weights defaults to here. */
export const demoDefault = (kind: 'model' | 'vae') =>
  demoWeights(kind) === undefined ? {} : { defaultText: 'the weights of the demo' };

const vaeDescription = 'autoencoder: run folder of tb-train vae, .safetensors file or official .ckpt';

/** The autoencoder of a model. */
export const vaeOfModelOption = text(vaeDescription, {
  placeholder: 'path',
  defaultText: 'the one that --model was trained with, if it is found',
});

/** An autoencoder without a model. */
export const vaeOption = text(vaeDescription, { placeholder: 'path', ...demoDefault('vae') });
