// The options that choose images, and which of them go together.
import { availableParallelism } from 'node:os';
import {
  flagName,
  grouped,
  integer,
  maxPixelsOption,
  merge,
  number,
  type Options,
  type Overrides,
  text,
  toggle,
  UsageError,
  type Values,
} from '@tb/command-line';

export const imageOptions = grouped('Images', {
  data: text('folder of images, or with one folder of images per class (PNG, JPEG, WebP, TIFF, GIF, AVIF)', {
    placeholder: 'folder',
  }),
  crops: toggle('use random square crops of the photographs in --data; each photograph is a class', { default: false }),
  cropsPerPhotograph: integer('crops of each photograph in an epoch or a cache', { min: 1, default: 1000 }),
  cropScaleMin: number("smallest side of a crop, as a share of the photograph's shorter side", {
    min: 0,
    max: 1,
    default: 0.25,
  }),
  cropScaleMax: number("largest side of a crop, as a share of the photograph's shorter side", {
    min: 0,
    max: 1,
    default: 0.6,
  }),
  heldOut: number('share of every photograph that is kept for validation', { min: 0, max: 0.9, default: 0.25 }),
  validation: text('folder of validation images, with the same class folders as --data', { placeholder: 'folder' }),
  imageSize: integer('side of the training images in pixels', { min: 8, max: 4096, default: 256 }),
  flip: toggle('mirror half of the images', { default: true }),
  badLimit: number('stop when more than this share of the images cannot be read; three are always tolerated', {
    min: 0,
    max: 1,
    default: 0.05,
  }),
  maxPixels: maxPixelsOption,
  threads: integer('threads that decode images', {
    min: 1,
    max: 256,
    default: Math.min(8, Math.max(1, availableParallelism() - 1)),
  }),
});

export type ImageValues = Values<typeof imageOptions>;

const cropOptions = ['cropsPerPhotograph', 'cropScaleMin', 'cropScaleMax', 'heldOut'] as const;

/** What is decided when a cache is made, and is not stored in it. */
const cacheDecides = ['data', 'validation', 'crops', ...cropOptions, 'latentScale'] as const;

/**
 * Refuses options of images that would have no effect together: who sets them expects an effect.
 *
 * @param values - the resolved ones
 * @param given - what the configuration file and the flags set, the lowest priority first; sources below the one that sets
 *   --crops are ignored
 * @throws UsageError that names the option
 */
export function assertImagesFit(
  { crops, cropScaleMin, cropScaleMax }: Pick<ImageValues, 'crops' | 'cropScaleMin' | 'cropScaleMax'>,
  given: readonly Overrides<typeof imageOptions>[],
): void {
  const set = mergeFrom('crops', given);
  const unused = cropOptions.find((name) => set[name] !== undefined);
  if (!crops && unused !== undefined) throw new UsageError(`--${flagName(unused)} does nothing without --crops`);
  if (crops && set.validation !== undefined) {
    throw new UsageError(
      '--validation does nothing with --crops, which validates on the part of every photograph that --held-out reserves',
    );
  }
  if (crops && cropScaleMin > cropScaleMax) {
    throw new UsageError(`--crop-scale-min must be at most --crop-scale-max, got ${cropScaleMin} and ${cropScaleMax}`);
  }
}

type CacheOrImages = Overrides<typeof imageOptions> & { cache?: string; latentScale?: unknown };

/**
 * Refuses options of images for a run from a latent cache, in which the images are settled.
 *
 * @param given - what the configuration file and the flags set, the lowest priority first; a cache replaces the images of
 *   sources below the one that sets --cache
 * @throws UsageError that names the option
 */
export function assertCacheDecides(given: readonly CacheOrImages[]): void {
  const set = mergeFrom('cache', given);
  const unused = cacheDecides.find((name) => set[name] !== undefined);
  if (unused === undefined) return;
  throw new UsageError(
    `--${flagName(unused)} does nothing with --cache, because it was decided when the cache was made: leave one of them out`,
  );
}

/** Merges the highest-priority source that sets `name` with the sources above it. */
function mergeFrom<Source extends Overrides<Options>>(name: keyof Source, sources: readonly Source[]): Source {
  const first = sources.findLastIndex((source) => source[name] !== undefined);
  return merge(...sources.slice(Math.max(first, 0)));
}
