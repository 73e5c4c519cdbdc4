import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** From a checkout's sources and from its built file. */
const folder = new URL('../../../train/demo/weights/', import.meta.url);
const fromBuilt = new URL('../../train/demo/weights/', import.meta.url);

/** Weights of the demo, which a checkout of the repository brings; elsewhere there are none. */
export function demoWeights(file: 'model.safetensors' | 'vae.safetensors'): string | undefined {
  return [folder, fromBuilt].map((base) => fileURLToPath(new URL(file, base))).find((path) => existsSync(path));
}
