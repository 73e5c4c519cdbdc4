import { changeDefaults, integer, type Overrides, omit } from '@tb/command-line';
import type { JoinedProcesses } from '@tb/runtime';
import { acceptOptions } from '../../options/files.js';
import { assertImagesFit } from '../../options/images.js';
import { resolveTraining, type TrainingValues, trainingOptions } from '../../options/training.js';

const { imageSize } = trainingOptions;

export const featuresOptions = changeDefaults(
  {
    ...omit(trainingOptions, 'drawEvery', 'half'), // there is nothing to draw, and the weights are small
    anyClasses: acceptOptions.anyClasses,
    imageSize: { ...imageSize, ...integer('side of the training images in pixels', { min: 32, max: 4096 }) },
  },
  {
    out: 'runs/features',
    imageSize: 64,
    steps: 400,
    learningRate: 2e-3,
    baseLearningRate: undefined,
    warmupSteps: 20,
    ema: 0.98,
    checkpointEvery: 200,
    validateEvery: 100,
  },
);

export type FeaturesValues = TrainingValues<typeof featuresOptions>;

export async function resolveFeatures(flags: Overrides<typeof featuresOptions>): Promise<{
  values: FeaturesValues;
  group?: JoinedProcesses;
}> {
  const { values, given, group } = await resolveTraining('features', featuresOptions, flags);
  assertImagesFit(values, given);
  return { values, ...(group && { group }) };
}
