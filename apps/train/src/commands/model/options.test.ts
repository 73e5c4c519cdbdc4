import { expect, it } from 'vitest';
import { assertSizeOfCache, modelPresets, resolveModel } from './options.js';

it('lets an option override the default of its alternative', async () => {
  const valuesOf = async (flags: Parameters<typeof resolveModel>[0]) => (await resolveModel(flags)).values;
  expect(await valuesOf({})).toMatchObject({ length: { steps: 2000 }, warmup: { steps: 200 } });
  expect(await valuesOf({ epochs: 3, warmupEpochs: 1 })).toMatchObject({
    length: { epochs: 3 },
    warmup: { epochs: 1 },
  });
  expect(await valuesOf({ preset: 'large', steps: 100 })).toMatchObject({
    length: { steps: 100 },
    warmup: { epochs: 200 },
  });
  expect(await valuesOf({ steps: 7, epochs: 3 })).toMatchObject({ length: { steps: 7 } }); // the help states which counts
  expect(await valuesOf({ learningRate: 1e-4 })).toMatchObject({ peak: { learningRate: 1e-4 } });
});

it('applies a preset above the defaults, and below a file and the flags', async () => {
  const { values } = await resolveModel({ config: 'imagenet-256-huge', levels: 16 });
  const { imageSize, batch, ema, microBatch } = modelPresets.huge;
  expect(values).toMatchObject({ imageSize, batch, ema, microBatch, length: { epochs: 800 } });
  expect(values).toMatchObject({ peak: { baseLearningRate: 1e-4 }, levels: 16, backend: 'xla', clip: 1 });
});

it('returns the image size that was asked for apart from defaults', async () => {
  expect((await resolveModel({ config: 'own-images', batch: 3 })).requestedSize).toBe(64);
  expect((await resolveModel({ batch: 3 })).requestedSize).toBeUndefined();
});

it('refuses another image size than that of the cache', () => {
  const message = /--image-size 32 is not .* images of 16: .*tb-train cache --image-size 32$/;
  expect(() => assertSizeOfCache(16, 32)).toThrow(message);
  assertSizeOfCache(16, 16);
  assertSizeOfCache(16);
});
