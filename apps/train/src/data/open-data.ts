import { UsageError } from '@tb/command-line';
import { printable } from '@tb/io';
import {
  type BadImage,
  type BatchSource,
  createDataOrder,
  type ImageBatch,
  type ImageSource,
  openImageBatches,
  openImageFolder,
  openPhotographCrops,
} from '@tb/trainer';
import type { DataValues } from '../options/tables.js';

export type Data = {
  training: ImageSource;
  /** Pictures kept from training; absent when none were given. */
  validation?: ImageSource;
};

/** Opens what --data, --crops and --validation name. */
export async function openData(values: DataValues & { seed?: number }): Promise<Data> {
  const { data, validation, imageSize: size = 256, seed = 0, flip = true } = values;
  if (data === undefined) throw new UsageError('--data must name a folder with one folder of images per class');
  const options = { size, seed, flip };
  if (!values.crops) {
    const training = await openImageFolder(data, options);
    if (validation === undefined) return { training };
    const held = await openImageFolder(validation, { ...options, flip: false });
    assertSameClasses(training, held);
    return { training, validation: held };
  }
  const { cropsPerPhotograph = 1000, cropScaleMin = 0.25, cropScaleMax = 0.6, heldOut = 0.25 } = values;
  const scale = [Math.min(cropScaleMin, cropScaleMax), cropScaleMax] as const;
  const crops = { ...options, cropsPerPhotograph, scale, heldOut };
  const training = await openPhotographCrops(data, { ...crops, part: 'training' });
  if (heldOut === 0) return { training };
  return { training, validation: await openPhotographCrops(data, { ...crops, flip: false, part: 'validation' }) };
}

function assertSameClasses(training: ImageSource, validation: ImageSource): void {
  const [ours, theirs] = [training, validation].map(({ classNames }) => printable(classNames.join(', ')));
  if (ours !== theirs) throw new UsageError(`--validation must have the classes of --data (${ours}), got ${theirs}`);
}

export type OpenBatches = (firstStep: number) => BatchSource<ImageBatch>;

/** Batches of the training pictures from any step on. */
export function batchesOf(
  source: ImageSource,
  { batch = 64, seed = 0, threads = 1, badLimit = 0.05 }: DataValues & { batch?: number; seed?: number },
  onBadImage: (bad: BadImage) => void,
): OpenBatches {
  return (firstStep) => openImageBatches(source, { batchSize: batch, seed, firstStep, threads, badLimit, onBadImage });
}

/** Held-out pictures and latents are read in batches of this, or fewer where there are fewer. */
export const validationBatch = 32;

/** The first pictures of a source, the same ones every time; what does not fill a batch is left out. */
export async function readSome(source: ImageSource, count: number, threads: number): Promise<ImageBatch[]> {
  const wanted = Math.min(count, source.length);
  const batchSize = Math.min(validationBatch, wanted);
  const batches = openImageBatches(source, { batchSize, seed: validationSeed, firstStep: 0, threads, badLimit: 1 });
  try {
    const read: ImageBatch[] = [];
    for (let done = 0; done + batchSize <= wanted; done += batchSize) read.push(await batches.next());
    return read;
  } finally {
    await batches.close();
  }
}

const validationSeed = 0;

/** The pictures that `readSome` reads, in its order, as a source of their own. */
export function firstPictures(source: ImageSource, count: number): ImageSource {
  const order = createDataOrder(source.length, validationSeed);
  return {
    classNames: source.classNames,
    size: source.size,
    length: Math.min(count, source.length),
    labelOf: (index) => source.labelOf(order.at(index).index),
    requestOf: (index, epoch) => source.requestOf(order.at(index).index, epoch),
  };
}
