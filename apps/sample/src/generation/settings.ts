import { version } from '../version.js';
import type { Job } from './jobs.js';

/** Everything that decides the pictures, besides class and number. Stands in every file that is written. */
export type Settings = {
  model: { file: string; sha256: string; weights?: 'ema' | 'raw' };
  vae: { file: string; sha256: string };
  cfg: number;
  cfgSchedule: 'linear' | 'constant';
  temperature: number;
  numIter: number;
  order: 'random' | 'raster' | 'confidence';
  seed: number;
};

/** What a picture says about itself. */
export function pictureSettings(settings: Settings, backend: string, { label, name, index, seed }: Job) {
  return {
    program: `tb-sample ${version}`,
    ...settings,
    backend,
    class: name,
    label,
    index,
    pictureSeed: String(seed),
  };
}

const compared = ['cfg', 'cfgSchedule', 'temperature', 'numIter', 'order', 'seed'] as const;

/**
 * How settings found in a file differ from the wanted ones. Paths and the backend may differ, weights may not.
 *
 * @returns one part of a sentence per difference
 */
export function differences(found: Record<string, unknown>, wanted: Settings): string[] {
  const hashOf = (each: unknown) => (each as { sha256?: string } | undefined)?.sha256;
  const weights = (['model', 'vae'] as const)
    .filter((name) => hashOf(found[name]) !== wanted[name].sha256)
    .map((name) => `the weights of the ${name === 'vae' ? 'autoencoder' : 'model'}`);
  const values = compared
    .filter((name) => found[name] !== wanted[name])
    .map((name) => `${name} (${found[name]} there, ${wanted[name]} here)`);
  return [...weights, ...values];
}
