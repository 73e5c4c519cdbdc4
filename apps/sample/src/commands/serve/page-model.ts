// The model of the page, for the server and for the static site: its weights, and what the page knows about it.
import { basename } from 'node:path';
import { classNamesOf, type LoadedVae } from '@tb/trainer';
import type { PageCompute } from '../../page/compute.js';
import type { ModelInfo } from '../../page/messages.js';
import { version } from '../../version.js';
import { openTokenModel, openVaeFor, type TokenModel } from '../../weights.js';
import { readClassNames } from '../generate/jobs.js';
import type { WeightValues } from '../generate/options.js';
import { makeThumbnails } from './thumbnails.js';

/** A model as the page shows it. */
export type PageModel = {
  model: TokenModel;
  vae: LoadedVae;
  /** Names of the classes in the order of their labels. */
  classNames: readonly string[];
  /** PNG files by label. */
  thumbnails: ReadonlyMap<number, Uint8Array<ArrayBuffer>>;
};

/** Loads a model and all that the page shows of it. @param path - what `findModel` found */
export async function openPageModel(path: string, values: WeightValues): Promise<PageModel> {
  const model = await openTokenModel(path, values);
  const vae = await openVaeFor(model, values);
  const file = values.classNames;
  const classNames = file === undefined ? classNamesOf(model) : await readClassNames(file, model.config.classes);
  return { model, vae, classNames, thumbnails: await makeThumbnails(path, classNames) };
}

type InfoOptions = Pick<ModelInfo, 'backend' | 'hasRuns'> & {
  facts: PageCompute['facts'];
  /** Where the small images of the classes are, relative to the page. */
  thumbnailFolder: string;
  /** Images of one job, and pixels of an uploaded one. */
  limits: Pick<ModelInfo['limits'], 'images' | 'uploadPixels'>;
};

/** States what the page computes with, and how much it may ask for. */
export function infoOf({ model, classNames, thumbnails }: PageModel, options: InfoOptions): ModelInfo {
  const { facts, backend, hasRuns, thumbnailFolder, limits } = options;
  const { height, width } = facts.grid;
  return {
    ...facts,
    version,
    model: basename(model.path),
    backend,
    classes: classNames.map((name, label) => ({
      label,
      name,
      thumbnail: thumbnails.has(label) ? `${thumbnailFolder}/${label}.png` : null,
    })),
    limits: {
      ...limits,
      steps: Math.max(height * width, facts.presets[0].settings.steps), // more steps than positions change nothing
      guidance: 100,
      temperature: 10,
      uploadBytes: 2 ** 25,
      levels: 256,
      range: { min: 0.01, max: 100 },
    },
    hasRuns,
  };
}
