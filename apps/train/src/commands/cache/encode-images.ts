import { createProgressLine, UsageError } from '@tb/command-line';
import { printable } from '@tb/io';
import { type CacheSample, type DecodePool, DecodePoolError, type ImageSource, type LoadedVae } from '@tb/trainer';
import { type Autoencoder, createAutoencoder } from '@tb/vae';

export type EncodeOptions = {
  pool: DecodePool;
  /** Images encoded at a time, each with its mirror image. */
  batch: number;
  /** Share of all images that may be unreadable; three are always tolerated. */
  badLimit: number;
  signal: AbortSignal;
};

/**
 * Encodes every readable image of a source in order, from number `first` on, and its mirror image. Shows the progress.
 *
 * @throws UsageError when too many images are unreadable; DecodePoolError when a decoding thread ended; the signal's
 *   reason when it is aborted
 */
export async function* encodeImages(
  source: ImageSource,
  vae: LoadedVae,
  { pool, batch, badLimit, signal }: EncodeOptions,
  first: number,
): AsyncGenerator<CacheSample> {
  const { encodeMoments } = createAutoencoder(vae.config, source.size);
  const line = createProgressLine();
  line.show(first, source.length);
  const most = Math.max(3, Math.floor(badLimit * source.length));
  let bad = 0;
  const readAhead = (start: number) => {
    const pairs = readPairs(source, pool, start, batch);
    pairs.catch(() => {}); // it may fail before it is awaited, which then throws
    return pairs;
  };
  let next = readAhead(first);
  try {
    for (let start = first; start < source.length; start += batch) {
      const pairs = await next;
      signal.throwIfAborted();
      next = readAhead(start + batch); // decodes while the autoencoder computes
      for (const pair of pairs) {
        if ('pixels' in pair) continue;
        line.print(printable(`skipped unreadable image ${++bad}: ${pair.path}: ${pair.reason}`));
        if (bad > most) throw new UsageError(`too many unreadable images (${bad} of ${source.length})`);
      }
      yield* await encodePairs(
        pairs.filter((pair) => 'pixels' in pair),
        vae,
        encodeMoments,
      );
      line.show(Math.min(start + batch, source.length), source.length);
      await new Promise(setImmediate); // lets signals in where the backend computes in this thread
    }
  } finally {
    line.end();
    await next.catch(() => {});
  }
}

type Pair = { place: number; label: number; pixels: Uint8Array[] };
type Unreadable = { path: string; reason: string };

async function readPairs(
  source: ImageSource,
  pool: DecodePool,
  start: number,
  count: number,
): Promise<(Pair | Unreadable)[]> {
  const places = Array.from({ length: Math.max(0, Math.min(count, source.length - start)) }, (_, i) => start + i);
  return Promise.all(
    places.map(async (place) => {
      const request = source.requestOf(place, 0);
      try {
        const both = [false, true].map((mirror) => pool.read({ ...request, mirror }));
        return { place, label: source.labelOf(place), pixels: await Promise.all(both) };
      } catch (error) {
        if (error instanceof DecodePoolError) throw error; // not the image's fault
        return { path: request.path, reason: (error as Error).message };
      }
    }),
  );
}

async function encodePairs(
  pairs: readonly Pair[],
  vae: LoadedVae,
  encodeMoments: Autoencoder['encodeMoments'],
): Promise<CacheSample[]> {
  if (pairs.length === 0) return [];
  const images = pairs.flatMap(({ pixels }) => pixels);
  const length = images[0].length;
  const bytes = new Uint8Array(images.length * length);
  for (const [row, pixels] of images.entries()) bytes.set(pixels, row * length);
  const moments = await encodeMoments(vae.params, bytes);
  const sampleLength = moments.length / pairs.length;
  return pairs.map(({ place, label }, row) => ({
    place,
    label,
    moments: moments.slice(row * sampleLength, (row + 1) * sampleLength),
  }));
}
