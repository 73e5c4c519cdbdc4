import { printable } from '@tb/io';
import { type BatchShare, completeBatch } from './batch-share.js';
import { type BatchSource, createDataOrder, prefetch } from './batches.js';
import { createDecodePool, type DecodePool, DecodePoolError } from './decode-pool.js';
import type { BadImage, ImageSource } from './image-source.js';

// N = images in the batch

/** A batch of decoded images. */
export type ImageBatch = {
  /** RGB bytes [N, size, size, 3]. */
  images: Uint8Array;
  /** Classes [N]. */
  labels: Int32Array;
  /** Files that the images come from. */
  paths: string[];
};

/** Options of `openImageBatches`. */
export type ImageBatchOptions = {
  batchSize: number;
  seed: number;
  /** Step of the first batch. */
  firstStep: number;
  /** What this process reads of each batch; default all. */
  share?: BatchShare;
  /** Decoding threads. */
  threads: number;
  /** Share of all samples that may be unreadable (three always may) before the run stops; each process counts its own. */
  badLimit: number;
  /** Called once for each unreadable file. */
  onBadImage?: (bad: BadImage) => void;
};

/**
 * Opens batches of images that worker threads decode ahead of time. An unreadable file is reported and replaced by the next
 * sample of the source, so that the run stays reproducible.
 *
 * @throws Error (from `next`) when too many files are unreadable; DecodePoolError when a thread ended or all were closed
 */
export function openImageBatches(source: ImageSource, options: ImageBatchOptions): BatchSource<ImageBatch> {
  const { batchSize, seed, firstStep, threads, share = completeBatch } = options;
  const rows = share.rowsOf(batchSize);
  const order = createDataOrder(source.length, seed);
  const pool = createDecodePool(threads);
  const read = readerThatSkips(source, pool, options);
  const pixels = source.size * source.size * 3;
  const make = async (step: number): Promise<ImageBatch> => {
    const batch: ImageBatch = {
      images: new Uint8Array(rows.length * pixels),
      labels: new Int32Array(rows.length),
      paths: new Array(rows.length).fill(''),
    };
    const place = async (row: number, at: number) => {
      const { index, epoch } = order.at(step * batchSize + row);
      const sample = await read(index, epoch);
      batch.images.set(sample.pixels, at * pixels);
      batch.labels[at] = sample.label;
      batch.paths[at] = sample.path;
    };
    await Promise.all(rows.map(place));
    return batch;
  };
  return {
    samplesPerEpoch: source.length,
    batchSize,
    next: prefetch(make, firstStep, 2).next,
    describe: ({ paths }) => printable([...new Set(paths)].slice(0, 8).join(', ')),
    close: pool.close,
  };
}

type Sample = { pixels: Uint8Array; label: number; path: string };

function readerThatSkips(source: ImageSource, pool: DecodePool, { badLimit, onBadImage }: ImageBatchOptions) {
  const bad = new Map<string, string>();
  const most = Math.max(3, Math.floor(badLimit * source.length));
  return async (first: number, epoch: number): Promise<Sample> => {
    for (let skipped = 0; skipped < source.length; skipped++) {
      const index = (first + skipped) % source.length;
      const request = source.requestOf(index, epoch);
      if (bad.has(request.path)) continue;
      try {
        const pixels = await pool.read(request);
        return { pixels, label: source.labelOf(index), path: request.path };
      } catch (error) {
        if (error instanceof DecodePoolError) throw error;
        const reason = (error as Error).message;
        if (!bad.has(request.path)) onBadImage?.({ path: request.path, reason });
        bad.set(request.path, reason);
        if (bad.size > most) {
          throw new Error(
            printable(
              `too many unreadable images (${bad.size} of ${source.length}), the last was ${request.path}: ${reason}`,
            ),
          );
        }
      }
    }
    throw new Error(`none of the ${source.length} images can be read`);
  };
}
