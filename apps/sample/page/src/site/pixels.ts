// Images in a Worker: decoded and encoded by the browser.
import type { Pixels } from '@tb/vae';
import type { Limits } from '../../../src/page/messages.js';

/** Decodes an image file, turned as its settings state; transparency is dropped. @throws Error with a sentence for people */
export async function decodeFile(file: Blob, { uploadBytes, uploadPixels }: Limits): Promise<Pixels> {
  if (file.size > uploadBytes) throw new Error(`The file is larger than ${uploadBytes} bytes.`);
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' }).catch(() => {
    throw new Error('This is not an image that your browser can read.');
  });
  const { width, height } = bitmap;
  if (width * height > uploadPixels) throw new Error(`The image has more than ${uploadPixels} pixels.`);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) rgb.set(data.subarray(from, from + 3), to);
  return { width, height, data: rgb };
}

/** Encodes an image as PNG, without loss. */
export async function encodePng({ width, height, data }: Pixels): Promise<Uint8Array> {
  const canvas = new OffscreenCanvas(width, height);
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) rgba.set(data.subarray(from, from + 3), to);
  canvas.getContext('2d')!.putImageData(new ImageData(rgba, width, height), 0, 0);
  return new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer());
}
