// Entry point of the thread that decodes what the page sends.
import { parentPort } from 'node:worker_threads';
import { decodeImage, fitToSquare, ImageError } from '@tb/images';
import { printable } from '@tb/io';
import type { DecodeRequest, DecodeResponse } from './uploads.js';

parentPort!.on('message', async ({ file, size, maxPixels }: DecodeRequest) => {
  let response: DecodeResponse;
  try {
    const { width, height, data } = await decodeImage(file, { maxPixels });
    const { image } = await fitToSquare({ width, height, data }, size, 'crop'); // as tb-sample reconstruct does
    response = { width, height, square: image };
  } catch (error) {
    response = { reason: error instanceof ImageError ? printable(error.reason) : 'it is damaged' };
  }
  parentPort!.postMessage(response);
});
