// The folder that --out names: one PNG per picture, each written at once under its final name.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { encodePng, listImages, type Pixels, readPngSettings, withPngSettings } from '@tb/images';
import { printable, writeFileAtomic } from '@tb/io';
import type { Job } from './jobs.js';
import { differences, pictureSettings, type Settings } from './settings.js';

const ownName = /^class-\d+-\d+\.png$/;
/** Files of a folder are examined this many at a time. */
const atOnce = 32;

/**
 * The pictures that are still to be made. Whole files with the same settings are kept, damaged ones are made anew.
 *
 * @throws UsageError when the folder holds pictures of other settings or of another origin
 */
export async function missingJobs(folder: string, jobs: readonly Job[], settings: Settings): Promise<Job[]> {
  const present = new Set(await readdir(folder));
  const foreign = (await listImages(folder, { subfolders: false })).files.find((name) => !ownName.test(name));
  if (foreign !== undefined)
    throw new UsageError(
      `--out ${folder} holds pictures that are not from tb-sample (${printable(foreign)}); choose another folder`,
    );
  await assertSameSettings(
    folder,
    [...present].find((name) => ownName.test(name)),
    settings,
  );
  const missing: Job[] = [];
  for (let start = 0; start < jobs.length; start += atOnce) {
    const some = jobs.slice(start, start + atOnce);
    const kept = await Promise.all(some.map((job) => present.has(job.file) && isKept(folder, job, settings)));
    missing.push(...some.filter((_, place) => !kept[place]));
  }
  return missing;
}

/**
 * @param file - a picture of the folder, wanted now or not
 * @returns what it says about itself, or undefined when it is damaged or there is none
 */
async function assertSameSettings(folder: string, file: string | undefined, settings: Settings) {
  const found = file === undefined ? undefined : readPngSettings(await readFile(join(folder, file)));
  const different = found === undefined ? [] : differences(found, settings);
  if (different.length === 0) return found;
  throw new UsageError(
    `--out ${folder} holds pictures made with other settings: ${different.join(', ')}; choose another folder`,
  );
}

async function isKept(folder: string, job: Job, settings: Settings): Promise<boolean> {
  const found = await assertSameSettings(folder, job.file, settings);
  return found?.pictureSeed === String(job.seed);
}

/** Writes one picture with its settings, without loss. */
export async function writePicture(
  folder: string,
  job: Job,
  picture: Pixels,
  settings: Settings,
  backend: string,
): Promise<void> {
  const png = withPngSettings(await encodePng(picture), pictureSettings(settings, backend, job));
  await writeFileAtomic(join(folder, job.file), png);
}
