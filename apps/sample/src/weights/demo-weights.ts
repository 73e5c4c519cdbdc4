import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where tb-train keeps them in a checkout, as seen from these sources and from the built file. */
const folders = ['../../../train/demo/', '../../train/demo/'].map((path) => new URL(path, import.meta.url));

/** Weights of the demo, which a checkout of the repository brings; elsewhere there are none. */
export function demoWeights(file: 'model.safetensors' | 'vae.safetensors'): string | undefined {
  return folders.map((folder) => fileURLToPath(new URL(file, folder))).find((path) => existsSync(path));
}
