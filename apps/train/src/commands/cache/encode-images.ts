import { createProgressLine, type ProgressLine, UsageError } from '@tb/command-line';
import { printable, workAhead } from '@tb/io';
import { backendTraits } from '@tb/runtime';
import { type CacheSample, type DecodePool, DecodePoolError, type ImageSource, type LoadedVae } from '@tb/trainer';
import { type Autoencoder, createAutoencoder } from '@tb/vae';

export type EncodeOptions = {
  pool: DecodePool;
  /** Images encoded at a time, each with its mirror image. */
  batch: number;
  /** Share of all images that may be unreadable; three are always tolerated. */
  badLimit: number;
  /** Threads of the pool. */
  threads: number;
  signal: AbortSignal;
};

/**
 * Encodes every readable image of a source in order, from number `first` on and before `end`, and its mirror image. Shows
 * the progress.
 * Reading, encoding and whatever is done with the results run at the same time.
 *
 * @throws UsageError when too many images are unreadable; DecodePoolError when a decoding thread ended; the signal's
 *   reason when it is aborted
 */
export async function* encodeImages(
  source: ImageSource,
  vae: LoadedVae,
  { pool, batch, threads, badLimit, signal }: EncodeOptions,
  first: number,
  end = source.length,
): AsyncGenerator<CacheSample> {
  const autoencoder = createAutoencoder(vae.config, source.size);
  // Where each shape needs a separate program, a batch that is not full is filled up.
  const traits = backendTraits();
  const rows = traits.compilesPerShape ? batch : undefined;
  const line = createProgressLine();
  line.show(first, end);
  const read = workAhead(
    placesOf(end, first, batch),
    (places) => Promise.all(places.map((place) => readImage(source, pool, place))),
    1 + Math.ceil(threads / batch), // enough for every thread while one batch waits
  );
  const readable = withoutUnreadable(read, source.length, badLimit, line);
  const encode = async (images: Image[]) => {
    await new Promise(setImmediate); // lets signals in where the backend computes in this thread
    signal.throwIfAborted();
    return encodeBatch(images, rows, vae, autoencoder);
  };
  const encoded = workAhead(readable, encode, traits.runsAhead ? 2 : 1);
  let done = first;
  try {
    for await (const samples of encoded) {
      yield* samples;
      done = Math.min(done + batch, end);
      line.show(done, end);
    }
  } finally {
    line.end();
  }
}

type Image = { place: number; label: number; pixels: Uint8Array };
type Unreadable = { path: string; reason: string };

function* placesOf(length: number, first: number, batch: number): Generator<number[]> {
  for (let start = first; start < length; start += batch) {
    yield Array.from({ length: Math.min(batch, length - start) }, (_, i) => start + i);
  }
}

async function readImage(source: ImageSource, pool: DecodePool, place: number): Promise<Image | Unreadable> {
  const request = source.requestOf(place, 0);
  try {
    return { place, label: source.labelOf(place), pixels: await pool.read({ ...request, mirror: false }) };
  } catch (error) {
    if (error instanceof DecodePoolError) throw error; // not the image's fault
    return { path: request.path, reason: (error as Error).message };
  }
}

/** Reports unreadable images, and passes on the others. */
async function* withoutUnreadable(
  batches: AsyncIterable<(Image | Unreadable)[]>,
  total: number,
  badLimit: number,
  line: Pick<ProgressLine, 'print'>,
): AsyncGenerator<Image[]> {
  const most = Math.max(3, Math.floor(badLimit * total));
  let bad = 0;
  for await (const batch of batches) {
    for (const image of batch) {
      if ('pixels' in image) continue;
      line.print(printable(`skipped unreadable image ${++bad}: ${image.path}: ${image.reason}`));
      if (bad > most) throw new UsageError(`too many unreadable images (${bad} of ${total})`);
    }
    yield batch.filter((image) => 'pixels' in image);
  }
}

/** @param rows - images that the program takes; the results of those that are missing are left out */
async function encodeBatch(
  images: readonly Image[],
  rows: number = images.length,
  { params }: LoadedVae,
  { encodeMirrored }: Autoencoder,
): Promise<CacheSample[]> {
  if (images.length === 0) return [];
  const { length } = images[0].pixels;
  const bytes = new Uint8Array(rows * length);
  for (const [row, { pixels }] of images.entries()) bytes.set(pixels, row * length);
  const moments = await encodeMirrored(params, bytes);
  const sampleLength = moments.length / rows;
  return images.map(({ place, label }, row) => ({
    place,
    label,
    moments: moments.subarray(row * sampleLength, (row + 1) * sampleLength),
  }));
}
