// Small images of the classes, where there are any: of the demo's model, the photographs that it was trained on.
import { readdir } from 'node:fs/promises';
import { dirname, join, parse } from 'node:path';
import { centreCrop, decodeImage, encodePng } from '@tb/images';
import { demoWeights } from '../../options.js';

const side = 64;

/** Makes PNG files of the classes that have photographs, by label. */
export async function makeThumbnails(
  modelPath: string,
  classNames: readonly string[],
): Promise<Map<number, Uint8Array<ArrayBuffer>>> {
  const thumbnails = new Map<number, Uint8Array<ArrayBuffer>>();
  if (modelPath !== demoWeights('model')) return thumbnails;
  const folder = join(dirname(modelPath), 'photos');
  for (const file of await readdir(folder).catch(() => [])) {
    const label = classNames.indexOf(parse(file).name);
    if (label < 0) continue;
    const image = await decodeImage(join(folder, file));
    thumbnails.set(label, new Uint8Array(await encodePng(centreCrop(image, side))));
  }
  return thumbnails;
}
