import { join } from 'node:path';
import { UsageError } from '@tb/command-line';
import { decodeImage } from '@tb/images';
import { writeFileAtomic, writeNpz } from '@tb/io';
import { version } from '../version.js';
import type { Job } from './jobs.js';
import type { Settings } from './settings.js';

/**
 * Writes the pictures of a folder as ADM's evaluator reads them, `arr_0` uint8 [N, H, W, 3], one at a time, and the settings
 * as JSON beside it.
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
      const picture = await decodeImage(join(folder, file));
      if (picture.height !== height || picture.width !== width)
        throw new UsageError(
          `${join(folder, file)} must have ${width} × ${height} pixels, got ${picture.width} × ${picture.height}`,
        );
      yield new Uint8Array(picture.data);
    }
  }
  await writeNpz(path, { arr_0: { dtype: 'U8', shape: [jobs.length, height, width, 3], data: pixels() } });
  const description = { program: `tb-sample ${version}`, ...settings, pictures: jobs.length };
  await writeFileAtomic(path.replace(/\.npz$/, '.json'), `${JSON.stringify(description, null, 2)}\n`);
}
