import { describe, expect, it } from 'vitest';
import { assertOneStart, assertPicturesFit, assertSettledByCache } from './conflicts.js';
import type { DataValues, ModelValues } from './tables.js';

describe('assertPicturesFit', () => {
  it.each<[DataValues, DataValues[], RegExp]>([
    [{ crops: false }, [{ heldOut: 0.1 }], /^--held-out does nothing without --crops$/],
    [{ crops: false }, [{ cropScaleMin: 0.1 }, {}], /^--crop-scale-min does nothing without --crops$/],
    [{ crops: true }, [{ crops: true, validation: 'b' }], /^--validation does nothing beside --crops/],
    [{ crops: true, cropScaleMin: 0.5, cropScaleMax: 0.4 }, [], /--crop-scale-min must be at most .*got 0\.5 and 0\.4/],
  ])('refuses %o of %o', (values, given, message) => {
    expect(() => assertPicturesFit(values, given)).toThrow(message);
  });

  it('takes what counts, and what a stronger source has overruled', () => {
    assertPicturesFit({ crops: true, cropScaleMin: 0.3, cropScaleMax: 0.4 }, [{ crops: true, heldOut: 0.1 }]);
    assertPicturesFit({ crops: true }, [{}, { heldOut: 0.1 }]); // a resumed run of crops
    assertPicturesFit({ crops: false }, [
      { crops: true, heldOut: 0.1 },
      { crops: false, validation: 'b' },
    ]);
  });
});

it('takes one start of a run', () => {
  expect(() => assertOneStart([{}, { resume: true, initial: 'a' }])).toThrow(/^--initial does nothing beside --resume/);
  assertOneStart([{ initial: 'a' }, { resume: true }]);
});

describe('assertSettledByCache', () => {
  it.each<[ModelValues[], RegExp]>([
    [[{ cache: 'a', imageSize: 32 }], /--image-size 32 is not .* pictures of 16: .*tb-train cache --image-size 32$/],
    [[{ imageSize: 32 }, { cache: 'a' }], /--image-size 32 is not/],
    [[{ cache: 'a' }, { data: 'b' }], /^--data does nothing beside --cache/],
    [[{}, { cache: 'a', crops: true }], /^--crops does nothing beside --cache/],
    [[{}, { heldOut: 0.1 }], /^--held-out does nothing beside --cache/], // a resumed run from a cache
  ])('refuses %o', (given, message) => {
    expect(() => assertSettledByCache(16, given)).toThrow(message);
  });

  it('takes what agrees, and what the cache takes the place of', () => {
    assertSettledByCache(16, [
      { data: 'b', crops: true, imageSize: 16 },
      { cache: 'a', flip: false },
    ]);
  });
});
