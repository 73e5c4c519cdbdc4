// Images that the page sent. A separate thread decodes them, with limits. They are kept in memory: none is written.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import type { Pixels } from '@tb/images';
import { startWorker } from '@tb/runtime';
import { RefusedError } from '../../page/check-requests.js';

/** What the thread is asked, and what it answers. */
export type DecodeRequest = { file: Uint8Array; size: number; maxPixels: number };
export type DecodeResponse = DecodedUpload | { reason: string };

/** A decoded image: the size of the original, and its middle as a square. */
export type DecodedUpload = { width: number; height: number; square: Pixels };

/** Images that the page sent. */
export type Uploads = {
  /**
   * Decodes and keeps an image.
   *
   * @throws RefusedError when it cannot be decoded within the limits, or too many are being decoded
   */
  add(file: Uint8Array): Promise<DecodedUpload & { id: string }>;
  /** @throws RefusedError with status 404 when it is not kept any longer */
  get(id: string): Pixels;
  close(): Promise<void>;
};

export type UploadOptions = {
  /** Side of the squares in pixels. */
  size: number;
  maxPixels: number;
  /** Longest time of one image in seconds (default 20). */
  seconds?: number;
  /** Images that are kept, the newest ones (default 32). */
  kept?: number;
};

/** Images that may wait for the thread. */
const mostWaiting = 8;

/** Memory of the thread in MiB, without the pixels, which `maxPixels` limits. */
const resourceLimits = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 32 };

/** Starts the thread, which waits for images. */
export function createUploads({ size, maxPixels, seconds = 20, kept = 32 }: UploadOptions): Uploads {
  const images = new Map<string, Pixels>();
  let worker = startDecoder();
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  const decode = async (file: Uint8Array): Promise<DecodedUpload> => {
    const request: DecodeRequest = { file, size, maxPixels };
    try {
      return await answerOf(worker, request, seconds);
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      await worker.terminate(); // it hangs or has ended: the next image gets a new one
      worker = startDecoder();
      throw new RefusedError('the image cannot be read: decoding it takes too long or too much memory', 413);
    }
  };
  return {
    async add(file) {
      if (waiting >= mostWaiting) throw new RefusedError('too many images are being read; try again', 429);
      waiting++;
      const decoded = last.then(() => decode(file)).finally(() => waiting--);
      last = decoded.catch(() => {});
      const upload = await decoded;
      const id = randomBytes(16).toString('hex');
      images.set(id, upload.square);
      for (const oldest of images.keys()) if (images.size > kept) images.delete(oldest);
      return { ...upload, id };
    },
    get(id) {
      const image = images.get(id);
      if (!image) throw new RefusedError('this image is not kept any longer; open it again', 404);
      return image;
    },
    close: async () => void (await worker.terminate()),
  };
}

function startDecoder(): Worker {
  const worker = startWorker(new URL('./upload-worker.js', import.meta.url), { resourceLimits, stdout: false });
  worker.unref();
  worker.on('error', () => {}); // without a listener it would end the program; `answerOf` rejects with it
  return worker;
}

/** @throws Error when the thread ends or takes too long; RefusedError with the reason when it answers with one */
async function answerOf(worker: Worker, request: DecodeRequest, seconds: number): Promise<DecodedUpload> {
  const ended = new AbortController();
  const end = () => ended.abort();
  worker.once('exit', end);
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(1000 * seconds), ended.signal]);
    const answer = once(worker, 'message', { signal });
    worker.postMessage(request);
    const [response] = (await answer) as [DecodeResponse];
    if ('reason' in response) throw new RefusedError(`the image cannot be read: ${response.reason}`, 415);
    return response;
  } finally {
    worker.off('exit', end);
  }
}
