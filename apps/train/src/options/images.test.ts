import { type Overrides, resolve } from '@tb/command-line';
import { describe, expect, it } from 'vitest';
import { assertCacheDecides, assertImagesFit, imageOptions } from './images.js';

type Images = Overrides<typeof imageOptions>;

describe('assertImagesFit', () => {
  const check = (values: Images, given: Images[]) => assertImagesFit(resolve(imageOptions, values), given);

  it.each<[Images, Images[], RegExp]>([
    [{ crops: false }, [{ heldOut: 0.1 }], /^--held-out does nothing without --crops$/],
    [{ crops: false }, [{ cropScaleMin: 0.1 }, {}], /^--crop-scale-min does nothing without --crops$/],
    [{ crops: true }, [{ crops: true, validation: 'b' }], /^--validation does nothing with --crops/],
    [{ crops: true, cropScaleMin: 0.5, cropScaleMax: 0.4 }, [], /--crop-scale-min must be at most .*got 0\.5 and 0\.4/],
  ])('refuses %o of %o', (values, given, message) => {
    expect(() => check(values, given)).toThrow(message);
  });

  it('accepts options that have an effect, and those that a stronger source has overruled', () => {
    check({ crops: true, cropScaleMin: 0.3, cropScaleMax: 0.4 }, [{ crops: true, heldOut: 0.1 }]);
    check({ crops: true }, [{}, { heldOut: 0.1 }]); // a resumed run of crops
    check({ crops: false }, [
      { crops: true, heldOut: 0.1 },
      { crops: false, validation: 'b' },
    ]);
  });
});

describe('assertCacheDecides', () => {
  it.each<[(Images & { cache?: string })[], RegExp]>([
    [[{ cache: 'a' }, { data: 'b' }], /^--data does nothing with --cache/],
    [[{}, { cache: 'a', crops: true }], /^--crops does nothing with --cache/],
    [[{}, { heldOut: 0.1 }], /^--held-out does nothing with --cache/], // a resumed run from a cache
  ])('refuses %o', (given, message) => {
    expect(() => assertCacheDecides(given)).toThrow(message);
  });

  it('accepts options that the cache replaces', () => {
    assertCacheDecides([
      { data: 'b', crops: true, imageSize: 16 },
      { cache: 'a', flip: false },
    ]);
  });
});
