import { join } from 'node:path';
import { decodeImage, encodePng, imageGrid, type Pixels, withPngSettings, zoomTo } from '@tb/images';
import { writeFileAtomic } from '@tb/io';
import type { Job } from './jobs.js';
import type { Settings } from './settings.js';

const mostClasses = 100;
const mostPerClass = 10;
const shownWidth = 120;

/** Which pictures a grid shows: the first ten of each of the first hundred classes. */
export function shownJobs(jobs: readonly Job[]): Job[] {
  const labels = [...new Set(jobs.map(({ label }) => label))].slice(0, mostClasses);
  return labels.flatMap((label) => jobs.filter((job) => job.label === label).slice(0, mostPerClass));
}

/**
 * Writes the labelled grid: a row for each class, or several classes in a row when each has one picture.
 *
 * @param pictures - by file name; others are read from `folder`
 */
export async function writeGrid(
  path: string,
  jobs: readonly Job[],
  pictures: ReadonlyMap<string, Pixels>,
  folder: string | undefined,
  settings: Settings,
): Promise<void> {
  const shown = shownJobs(jobs);
  const perClass = shown.filter(({ label }) => label === shown[0].label).length;
  const columns = perClass > 1 ? perClass : Math.ceil(Math.sqrt(shown.length * 2));
  const loaded = await Promise.all(
    shown.map(({ file }) => pictures.get(file) ?? decodeImage(join(folder ?? '', file))),
  );
  const zoom = zoomTo(loaded[0], shownWidth);
  const captions = shown.map(({ name }) => name);
  const grid = imageGrid(loaded, { columns: Math.min(columns, shown.length), captions, zoom });
  await writeFileAtomic(path, withPngSettings(await encodePng(grid), settings));
}
