// Entry point of a worker thread: makes training images while the main thread computes.
import { parentPort } from 'node:worker_threads';
import {
  bicubic,
  centreCrop,
  cropPixels,
  decodeImage,
  ImageError,
  mirrorPixels,
  type Pixels,
  resample,
} from '@tb/images';
import type { WorkerRequest, WorkerResponse } from './decode-pool.js';
import type { SampleRequest } from './image-source.js';

parentPort!.on('message', async ({ id, request }: WorkerRequest) => {
  let response: WorkerResponse;
  try {
    response = { id, pixels: await readSample(request) };
  } catch (error) {
    response = { id, reason: error instanceof ImageError ? error.reason : String((error as Error).message) };
  }
  parentPort!.postMessage(response);
});

/**
 * Makes one training image.
 *
 * @returns RGB bytes [size, size, 3]
 * @throws Error when the file cannot be read
 */
async function readSample({ path, size, crop, mirror, maxPixels }: SampleRequest): Promise<Uint8Array> {
  let image: Pixels;
  if (crop === 'centre') {
    image = centreCrop(await decodeImage(path, { maxPixels }), size);
  } else {
    const { left, top, side } = crop;
    image = resample(cropPixels(await readPhotograph(path, maxPixels), left, top, side, side), size, size, bicubic);
  }
  return (mirror ? mirrorPixels(image) : image).data;
}

/** Decoded photographs, from which many crops are cut. The oldest are dropped when they take too much memory. */
const photographs = new Map<string, { decoded: Promise<Pixels>; bytes: number }>();
const mostBytes = 2 ** 31;

function readPhotograph(path: string, maxPixels?: number): Promise<Pixels> {
  const kept = photographs.get(path);
  if (kept) return kept.decoded;
  const photograph = { decoded: decodeImage(path, { maxPixels }), bytes: 0 };
  photographs.set(path, photograph);
  const measure = ({ data }: Pixels) => {
    photograph.bytes = data.length;
    dropOldest();
  };
  photograph.decoded.then(measure, () => {}); // an error is thrown to whoever waits for the image
  return photograph.decoded;
}

function dropOldest(): void {
  let total = Array.from(photographs.values(), ({ bytes }) => bytes).reduce((sum, bytes) => sum + bytes, 0);
  for (const [path, { bytes }] of photographs) {
    if (total <= mostBytes) return;
    photographs.delete(path);
    total -= bytes;
  }
}
