// The folder that --out names: one PNG per image, each written at once under its final name, with its settings.
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { encodePng, listImages, type Pixels, readPngSettings, withPngSettings } from '@tb/images';
import { fileSystemError, printable, writeFileAtomic } from '@tb/io';
import { backendTraits } from '@tb/runtime';
import type { LoadedModel, LoadedVae } from '@tb/trainer';
import { kl16 } from '@tb/vae';
import { type ImageFacts, statedFacts } from '../../images.js';
import { version } from '../../version.js';
import type { Job } from './jobs.js';

/** Everything that decides the images, besides class and number. It is in every file that is written. */
export type Settings = {
  model: { file: string; sha256: string; weights?: 'ema' | 'raw'; step?: number };
  /** The scale of the latents is missing where it is that of kl16. */
  vae: { file: string; sha256: string; latentScale?: number };
  cfg: number;
  cfgSchedule: 'linear' | 'constant';
  temperature: number;
  numIter: number;
  order: 'random' | 'raster' | 'confidence';
  /** Of a diffusion head. */
  denoisingSteps?: number;
  seed: number;
};

/** Names weights by file name and hash, without their folder: images are shared, and paths are private. */
export function describeWeights(model: LoadedModel, vae: LoadedVae): Pick<Settings, 'model' | 'vae'> {
  const { path, sha256, set, step } = model;
  const { latentScale } = vae.config;
  return {
    model: { file: basename(path), sha256, ...(set && { weights: set }), ...(step !== undefined && { step }) },
    vae: {
      file: basename(vae.path),
      sha256: vae.sha256,
      ...(latentScale !== kl16.latentScale && { latentScale }),
    },
  };
}

/** Writes one image with its settings, without loss. */
export async function writeImage(
  folder: string,
  job: Job,
  image: Pixels,
  settings: Settings,
  backend: string,
): Promise<void> {
  const { label, name, index, seed } = job;
  const png = await pngOfImage(image, settings, { backend, class: name, label, index, seed });
  await writeFileAtomic(join(folder, job.file), png);
}

/** Encodes an image with its settings, without loss. */
export async function pngOfImage(image: Pixels, settings: object, facts: ImageFacts): Promise<Uint8Array> {
  return withPngSettings(await encodePng(image), statedFacts(version, settings, facts));
}

/** Names the backend for files of images, with the precision where it has several. */
export function describeBackend({ name }: { name: string }, precision: string): string {
  return backendTraits().precisions.length > 1 ? `${name}, ${precision}` : name;
}

const fileName = /^class-\d+-\d+\.png$/;

/** Files of a folder are examined this many at a time. */
const atOnce = 32;

/**
 * The images that are still to be made. Intact files with the same settings are kept, damaged ones are made again.
 *
 * @throws UsageError when the folder holds images of other settings or of another origin
 */
export async function missingJobs(folder: string, jobs: readonly Job[], settings: Settings): Promise<Job[]> {
  const present = new Set(await readdir(folder));
  const foreign = (await listImages(folder, { subfolders: false })).files.find((name) => !fileName.test(name));
  if (foreign !== undefined)
    throw new UsageError(
      `--out ${folder} holds images that are not from tb-sample (${printable(foreign)}); choose another folder`,
    );
  const first = [...present].find((name) => fileName.test(name)); // also if it is not asked for now
  if (first !== undefined) await readSettings(folder, first, settings);
  const missing: Job[] = [];
  for (let start = 0; start < jobs.length; start += atOnce) {
    const batch = jobs.slice(start, start + atOnce);
    const isKept = await Promise.all(
      batch.map(async ({ file, seed }) => {
        const found = present.has(file) ? await readSettings(folder, file, settings) : undefined;
        return found?.pictureSeed === String(seed);
      }),
    );
    missing.push(...batch.filter((_, place) => !isKept[place]));
  }
  return missing;
}

/**
 * Reads the settings of an image.
 *
 * @returns undefined when it is damaged
 * @throws UsageError when they are not those of this run
 */
async function readSettings(folder: string, file: string, settings: Settings) {
  const path = join(folder, file);
  const content = await readFile(path).catch((error) => {
    throw fileSystemError(path, 'read', error);
  });
  const found = readPngSettings(content);
  const different = found === undefined ? [] : differences(found, settings);
  if (different.length === 0) return found;
  throw new UsageError(
    `--out ${folder} holds images made with other settings: ${different.join(', ')}; choose another folder`,
  );
}

const compared = ['cfg', 'cfgSchedule', 'temperature', 'numIter', 'order', 'denoisingSteps', 'seed'] as const;

/** How the settings in a file differ, in words. Names of files and the backend may differ, weights may not. */
function differences(found: Record<string, unknown>, settings: Settings): string[] {
  const hashOf = (weights: unknown) => (weights as { sha256?: string } | undefined | null)?.sha256;
  const weights = (['model', 'vae'] as const)
    .filter((name) => hashOf(found[name]) !== settings[name].sha256)
    .map((name) => `the weights of the ${name === 'vae' ? 'autoencoder' : 'model'}`);
  const values = compared
    .filter((name) => found[name] !== settings[name])
    .map(
      (name) =>
        `${name} (${printable(JSON.stringify(found[name]) ?? 'none')} there, ${JSON.stringify(settings[name])} here)`,
    );
  return [...weights, ...values];
}
