import { printable } from '@tb/io';
import { type BadImage, type ImageSource, openImageBatches } from '@tb/trainer';
import type { ImageValues } from '../options/images.js';
import { validationSeed } from '../seeds.js';
import type { LabelledImages } from './generated-images.js';

const batchSize = 32;

/**
 * Reads the first images of a source in a mixed order, the same ones every time, into memory. Prints those that cannot be read.
 *
 * @throws Error when more than the share `badLimit` cannot be read
 */
export async function readImages(
  source: ImageSource,
  count: number,
  { threads, badLimit }: Pick<ImageValues, 'threads' | 'badLimit'>,
): Promise<LabelledImages> {
  const total = Math.min(count, source.length);
  const onBadImage = ({ path, reason }: BadImage) =>
    console.error(printable(`skipped unreadable image: ${path}: ${reason}`));
  const batches = openImageBatches(source, {
    batchSize,
    seed: validationSeed,
    firstStep: 0,
    threads,
    badLimit,
    onBadImage,
  });
  const pixels = source.size ** 2 * 3;
  const images = new Uint8Array(total * pixels);
  const labels = new Int32Array(total);
  try {
    for (let done = 0; done < total; done += batchSize) {
      const batch = await batches.next();
      const rows = Math.min(batchSize, total - done);
      images.set(batch.images.subarray(0, rows * pixels), done * pixels);
      labels.set(batch.labels.subarray(0, rows), done);
    }
    return { images, labels, size: source.size };
  } finally {
    await batches.close();
  }
}
