// Opens the images that options choose, as sources of batches.
import { UsageError } from '@tb/command-line';
import { squareImages } from '@tb/images';
import { printable } from '@tb/io';
import type { TokenBridgeConfig } from '@tb/tokenbridge';
import {
  type BadImage,
  type BatchShare,
  type BatchSource,
  compareData,
  createDataOrder,
  type ImageBatch,
  type ImageSource,
  type LatentScale,
  type LoadedVae,
  openImageBatches,
  openImageFolder,
  openPhotographCrops,
  prefixLine,
  withLatentScale,
} from '@tb/trainer';
import { downsamplingFactor, type VaeConfig } from '@tb/vae';
import type { ImageValues } from './options/images.js';
import { validationSeed } from './seeds.js';

export type Data = {
  /** What --data names. */
  folder: string;
  training: ImageSource;
  /** Images kept from training; absent when there are none. */
  validation?: ImageSource;
};

/** The options that decide which images there are. */
export type DataValues = Omit<ImageValues, 'threads' | 'badLimit'> & { seed: number };

/**
 * Opens what --data, --crops and --validation name.
 *
 * @param report - receives a line for each folder: how many classes and images it has, and what was left out
 */
export async function openData(values: DataValues, report: (line: string) => void = console.error): Promise<Data> {
  const { data: folder, validation, imageSize: size, seed, flip, maxPixels } = values;
  if (folder === undefined)
    throw new UsageError('--data must name a folder of images, or of one such folder per class');
  if (values.crops) return openCrops(folder, values, report);
  const training = await openImageFolder(folder, { size, seed, flip, maxPixels });
  report(printable(`${folder}: ${training.summary}`));
  if (validation === undefined) return { folder, training };
  const heldOut = await openImageFolder(validation, { size, seed, flip: false, maxPixels });
  report(printable(`${validation}: ${heldOut.summary}`));
  assertSameClasses(training, heldOut);
  return { folder, training, validation: heldOut };
}

async function openCrops(folder: string, values: DataValues, report: (line: string) => void): Promise<Data> {
  const { imageSize: size, seed, flip, maxPixels, cropsPerPhotograph, cropScaleMin, cropScaleMax, heldOut } = values;
  const options = { size, seed, maxPixels, cropsPerPhotograph, scale: [cropScaleMin, cropScaleMax] as const, heldOut };
  const training = await openPhotographCrops(folder, { ...options, flip, part: 'training' });
  report(printable(`${folder}: ${training.summary}`));
  if (heldOut === 0) return { folder, training };
  const validation = await openPhotographCrops(folder, { ...options, flip: false, part: 'validation' });
  return { folder, training, validation };
}

function assertSameClasses(training: ImageSource, validation: ImageSource): void {
  const { classes } = compareData(training, validation);
  if (classes)
    throw new UsageError(
      printable(`--validation must have the classes of --data (${classes.before}), got ${classes.now}`),
    );
}

/** The options that decide how images are read. */
type ReadValues = Pick<ImageValues, 'threads' | 'badLimit'>;

/** Opens the batches of a run from any step on: a resumed run continues in the middle of its data. */
export function batchesOf(
  source: ImageSource,
  { batch, seed, threads, badLimit }: ReadValues & { batch: number; seed: number },
  onBadImage: (bad: BadImage) => void,
): (firstStep: number, share?: BatchShare) => BatchSource<ImageBatch> {
  return (firstStep, share) =>
    openImageBatches(source, { batchSize: batch, seed, firstStep, share, threads, badLimit, onBadImage });
}

/** Validation reads images and latents in batches of this, or fewer where there are fewer. */
export const validationBatch = 32;

/** Reads the first images of a source, the same ones every time. What does not fill a batch is left out. */
export async function readSome(source: ImageSource, count: number, threads: number): Promise<ImageBatch[]> {
  const total = Math.min(count, source.length);
  const batchSize = Math.min(validationBatch, total);
  const batches = openImageBatches(source, { batchSize, seed: validationSeed, firstStep: 0, threads, badLimit: 1 });
  try {
    const read: ImageBatch[] = [];
    for (let done = 0; done + batchSize <= total; done += batchSize) read.push(await batches.next());
    return read;
  } finally {
    await batches.close();
  }
}

/** How many images are enough to measure the scale of an autoencoder's latents. */
const measuredImages = 32;

/**
 * Gives an autoencoder the scale of its latents that --latent-scale asks for, and reports a scale that was measured or does
 * not fit the images, and a prefix of the names of its weights.
 */
export async function scaleLatents(
  vae: LoadedVae,
  source: ImageSource,
  { latentScale, threads }: { latentScale?: LatentScale; threads: number },
  report: (line: string) => void = console.error,
): Promise<LoadedVae> {
  const { size } = source;
  const note = prefixLine(vae);
  if (note !== undefined) report(note);
  const scaled = await withLatentScale(vae, {
    scale: latentScale,
    size,
    images: async () =>
      (await readSome(source, measuredImages, threads)).flatMap(({ images }) =>
        squareImages(images, size).map(({ data }) => data),
      ),
  });
  if (scaled.line !== undefined) report(scaled.line);
  return scaled.vae;
}

/** Limits a source to the images that `readSome` reads, in the same order. */
export function firstImages(source: ImageSource, count: number): ImageSource {
  const order = createDataOrder(source.length, validationSeed);
  return {
    ...source,
    length: Math.min(count, source.length),
    labelOf: (index) => source.labelOf(order.at(index).index),
    requestOf: (index, epoch) => source.requestOf(order.at(index).index, epoch),
  };
}

/**
 * Computes the size of the latents of square images.
 *
 * @param size - side of an image in pixels
 * @throws UsageError when the autoencoder cannot shrink it without a remainder
 */
export function latentSize(size: number, config: VaeConfig): TokenBridgeConfig['latent'] {
  const factor = downsamplingFactor(config);
  if (size % factor !== 0)
    throw new UsageError(`--image-size must be a multiple of ${factor}, by which the autoencoder shrinks, got ${size}`);
  return { height: size / factor, width: size / factor, channels: config.latentChannels };
}
