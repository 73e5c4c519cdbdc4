import { type ImageSource, openImageBatches } from '@tb/trainer';
import type { LabelledPictures } from './generated-images.js';

const batchSize = 32;

/** The first pictures of a source in a mixed order, the same ones every time, in memory. */
export async function readImages(source: ImageSource, count: number, threads: number): Promise<LabelledPictures> {
  const wanted = Math.min(count, source.length);
  const batches = openImageBatches(source, { batchSize, seed: 0, firstStep: 0, threads, badLimit: 1 });
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
