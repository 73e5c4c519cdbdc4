import {
  backendOptions,
  clusterOptions,
  integer,
  type Overrides,
  omit,
  resolve,
  text,
  type Values,
} from '@tb/command-line';
import { configOption, latentScaleOption, readConfig, vaeOption } from '../../options/files.js';
import { assertImagesFit, imageOptions } from '../../options/images.js';

export const cacheOptions = {
  out: text('folder of the cache', { placeholder: 'folder', default: 'runs/cache' }),
  vae: vaeOption,
  latentScale: latentScaleOption,
  batch: integer('images encoded at a time, each with its mirror image', { min: 1, max: 4096, default: 32 }),
  seed: integer('seed of the crops', { default: 0 }),
  validationImages: integer('validation images to store', { min: 1, default: 1024 }),
  samplesPerShard: integer('images in one file of the cache', { min: 1, default: 4096 }),
  config: configOption,
  ...omit(imageOptions, 'flip'), // a cache holds every image and its mirror image
  ...omit(backendOptions, 'precision'),
  ...clusterOptions,
};

export type CacheValues = Values<typeof cacheOptions>;

export async function resolveCache(flags: Overrides<typeof cacheOptions>): Promise<CacheValues> {
  const file = flags.config === undefined ? {} : await readConfig(cacheOptions, flags.config, 'cache');
  const values = resolve(cacheOptions, file, flags);
  assertImagesFit(values, [file, flags]);
  return values;
}
