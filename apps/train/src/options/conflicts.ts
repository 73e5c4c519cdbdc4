// Options that would do nothing beside others. They are refused: who gives them believes that they count.
import { flagName, mergeValues, type Options, UsageError, type ValuesOf } from '@tb/command-line';
import type { DataValues, dataOptions, ModelValues, modelOptions } from './tables.js';

const ofCrops = ['cropsPerPhotograph', 'cropScaleMin', 'cropScaleMax', 'heldOut'] as const;

/** What was decided when a cache was made, and cannot be read from it. */
const ofCaches = ['data', 'validation', 'crops', ...ofCrops] as const;

/**
 * Checks that the options of pictures go together.
 *
 * @param values - all of them, defaults included
 * @param given - what the user says, the stronger source last; sources weaker than the one that says --crops do not count
 * @throws UsageError that names the option
 */
export function assertPicturesFit(values: DataValues, given: readonly DataValues[]): void {
  const beside = besideOption<typeof dataOptions>(given, 'crops');
  const { crops, cropScaleMin = 0, cropScaleMax = 1 } = values;
  const name = ofCrops.find((each) => beside[each] !== undefined);
  if (!crops && name !== undefined) throw new UsageError(`--${flagName(name)} does nothing without --crops`);
  if (crops && beside.validation !== undefined) {
    throw new UsageError(
      '--validation does nothing beside --crops, which validates on the part of every photograph that --held-out keeps back',
    );
  }
  if (crops && cropScaleMin > cropScaleMax) {
    throw new UsageError(`--crop-scale-min must be at most --crop-scale-max, got ${cropScaleMin} and ${cropScaleMax}`);
  }
}

/**
 * Checks that a run from a cache asks for nothing that the cache has settled.
 *
 * @param imageSize - of the cache
 * @param given - what the user says, the stronger source last; a cache takes the place of the pictures of weaker sources
 * @throws UsageError that names the option
 */
export function assertSettledByCache(imageSize: number, given: readonly ModelValues[]): void {
  const { imageSize: size = imageSize } = mergeValues<typeof modelOptions>(...given);
  if (size !== imageSize) {
    throw new UsageError(
      `--image-size ${size} is not that of the cache, which holds pictures of ${imageSize}: leave the option out, or make ` +
        `another cache with tb-train cache --image-size ${size}`,
    );
  }
  const beside = besideOption<typeof modelOptions>(given, 'cache');
  const name = ofCaches.find((each) => beside[each] !== undefined);
  if (name !== undefined) {
    throw new UsageError(
      `--${flagName(name)} does nothing beside --cache, which was settled when the cache was made: leave one of the two out`,
    );
  }
}

/** @throws UsageError when the same source says --resume and --initial: a run that goes on has its weights */
export function assertOneStart(given: readonly { resume?: boolean; initial?: string }[]): void {
  if (given.some(({ resume, initial }) => resume && initial !== undefined))
    throw new UsageError(
      '--initial does nothing beside --resume: a run that goes on has its weights. Leave one of them out',
    );
}

/** What the sources say that are at least as strong as the one that gives an option. */
function besideOption<Table extends Options>(given: readonly ValuesOf<Table>[], name: keyof Table): ValuesOf<Table> {
  const source = given.findLastIndex((each) => each[name] !== undefined);
  return mergeValues<Table>(...given.slice(Math.max(source, 0)));
}
