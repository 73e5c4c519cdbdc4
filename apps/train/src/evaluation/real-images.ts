import { printable } from '@tb/io';
import { type BadImage, type ImageSource, openImageBatches } from '@tb/trainer';
import type { LabelledPictures } from './generated-images.js';

const batchSize = 32;

/**
 * The first pictures of a source in a mixed order, the same ones every time, in memory. Tells of those that cannot be read.
 *
 * @throws Error when more than the share `badLimit` cannot be read
 */
export async function readImages(
  source: ImageSource,
  count: number,
  { threads, badLimit = 0.05 }: { threads: number; badLimit?: number },
): Promise<LabelledPictures> {
  const wanted = Math.min(count, source.length);
  const onBadImage = ({ path, reason }: BadImage) =>
    console.error(printable(`skipped unreadable image: ${path}: ${reason}`));
  const batches = openImageBatches(source, { batchSize, seed: 0, firstStep: 0, threads, badLimit, onBadImage });
  const pixels = source.size ** 2 * 3;
  const images = new Uint8Array(wanted * pixels);
  const labels = new Int32Array(wanted);
  try {
    for (let done = 0; done < wanted; done += batchSize) {
      const batch = await batches.next();
      const some = Math.min(batchSize, wanted - done);
      images.set(batch.images.subarray(0, some * pixels), done * pixels);
      labels.set(batch.labels.subarray(0, some), done);
    }
    return { images, labels, size: source.size };
  } finally {
    await batches.close();
  }
}
