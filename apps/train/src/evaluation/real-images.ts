import type { ImageSource } from '@tb/trainer';
import { readSome } from '../data/open-data.js';
import type { LabelledPictures } from './generated-images.js';

/** The first pictures of a source, the same ones every time, in memory. */
export async function readImages(source: ImageSource, count: number, threads: number): Promise<LabelledPictures> {
  const batches = await readSome(source, count, threads);
  return {
    images: new Uint8Array(Buffer.concat(batches.map(({ images }) => images))),
    labels: Int32Array.from(batches.flatMap(({ labels }) => [...labels])),
    size: source.size,
  };
}
