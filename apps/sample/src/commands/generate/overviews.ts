// What shows or collects all images of a run: the labelled grid, and the file of ADM's evaluator.
import { join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { decodeImage, encodePng, imageGrid, type Pixels, withPngSettings, zoomTo } from '@tb/images';
import { writeFileAtomic, writeNpz } from '@tb/io';
import { version } from '../../version.js';
import type { Settings } from './image-folder.js';
import type { Job } from './jobs.js';

const mostClasses = 100;
const mostPerClass = 10;
const shownWidth = 120;

/** Which images a grid shows: the first ten of each of the first hundred classes. */
export function shownJobs(jobs: readonly Job[]): Job[] {
  const labels = [...new Set(jobs.map(({ label }) => label))].slice(0, mostClasses);
  return labels.flatMap((label) => jobs.filter((job) => job.label === label).slice(0, mostPerClass));
}

/**
 * Writes the labelled grid: a row for each class, or several classes in a row when each has one image.
 *
 * @param images - by file name; others are read from `folder`
 */
export async function writeGrid(
  path: string,
  jobs: readonly Job[],
  images: ReadonlyMap<string, Pixels>,
  folder: string | undefined,
  settings: Settings,
): Promise<void> {
  const shown = shownJobs(jobs);
  const perClass = shown.filter(({ label }) => label === shown[0].label).length;
  const columns = perClass > 1 ? perClass : Math.ceil(Math.sqrt(shown.length * 2));
  const cells = await Promise.all(shown.map(({ file }) => images.get(file) ?? decodeImage(join(folder ?? '', file))));
  const zoom = zoomTo(cells[0], shownWidth);
  const captions = shown.map(({ name }) => name);
  const grid = imageGrid(cells, { columns: Math.min(columns, shown.length), captions, zoom });
  await writeFileAtomic(path, withPngSettings(await encodePng(grid), settings));
}

/**
 * Writes the images of a folder as ADM's evaluator reads them, `arr_0` uint8 [N, height, width, 3], one at a time, and the
 * settings as JSON next to it.
 */
export async function writeEvaluatorFile(
  path: string,
  folder: string,
  jobs: readonly Job[],
  { height, width }: { height: number; width: number },
  settings: Settings,
): Promise<void> {
  async function* pixels(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (const { file } of jobs) {
      const image = await decodeImage(join(folder, file));
      if (image.height !== height || image.width !== width)
        throw new UsageError(
          `${join(folder, file)} must have ${width} × ${height} pixels, got ${image.width} × ${image.height}`,
        );
      yield new Uint8Array(image.data);
    }
  }
  await writeNpz(path, { arr_0: { dtype: 'U8', shape: [jobs.length, height, width, 3], data: pixels() } });
  const description = { program: `tb-sample ${version}`, ...settings, pictures: jobs.length };
  await writeFileAtomic(path.replace(/\.npz$/i, '.json'), `${JSON.stringify(description, null, 2)}\n`);
}
