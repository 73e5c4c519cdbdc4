import { expect, it } from 'vitest';
import { featuresDefaults, modelPresets } from '../options/defaults.js';
import { type FeaturesValues, featuresOptions, type ModelValues, modelOptions } from '../options/tables.js';
import { resolveRun } from './run-folder.js';

const model = async (flags: ModelValues, preset: keyof typeof modelPresets = 'tiny') =>
  (await resolveRun('model', modelOptions, flags, () => modelPresets[preset])).values as ModelValues;

it('lets an option hide the default of its alternative', async () => {
  expect(await model({ epochs: 3, warmupEpochs: 1 })).not.toMatchObject({ steps: expect.anything() });
  expect(await model({ epochs: 3 })).toMatchObject({ epochs: 3, warmupSteps: modelPresets.tiny.warmupSteps });
  const large = await model({ steps: 100 }, 'large');
  expect(large).toMatchObject({ steps: 100, warmupEpochs: 200 });
  expect(large.epochs).toBeUndefined();
  expect(await model({ steps: 7, epochs: 3 })).toMatchObject({ steps: 7, epochs: 3 }); // the help says which counts
  const flags: FeaturesValues = { baseLearningRate: 1e-4 };
  const features = await resolveRun('features', featuresOptions, flags, () => featuresDefaults);
  expect(features.values).toMatchObject(flags);
  expect(features.values.learningRate).toBeUndefined();
});

it('hands over what the user says apart from defaults', async () => {
  const flags = { config: 'own-images', batch: 3 };
  const { given } = await resolveRun('model', modelOptions, flags, () => modelPresets.tiny);
  expect(given).toEqual([expect.objectContaining({ imageSize: 64, steps: 10_000 }), flags]);
});
