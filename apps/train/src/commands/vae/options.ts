import { changeDefaults, choice, number, type Overrides } from '@tb/command-line';
import type { JoinedProcesses } from '@tb/runtime';
import { initialOption } from '../../options/files.js';
import { assertImagesFit } from '../../options/images.js';
import { resolveTraining, type TrainingValues, trainingOptions } from '../../options/training.js';

export const vaeOptions = {
  preset: choice('size of the autoencoder', ['demo', 'kl16'], { default: 'demo' }),
  initial: initialOption,
  absoluteWeight: number('weight of the mean absolute error', { min: 0, default: 1 }),
  squaredWeight: number('weight of the mean squared error', { min: 0, default: 1 }),
  gradientWeight: number('weight of the error of the image gradients', { min: 0, default: 0.5 }),
  klWeight: number('weight of the KL divergence', { min: 0, default: 1e-4 }),
  ...changeDefaults(trainingOptions, {
    out: 'runs/vae',
    steps: 5000,
    baseLearningRate: 4e-4,
    weightDecay: 0,
    beta2: 0.99,
  }),
};

export type VaeValues = TrainingValues<typeof vaeOptions>;

export async function resolveVae(flags: Overrides<typeof vaeOptions>): Promise<{
  values: VaeValues;
  group?: JoinedProcesses;
}> {
  const { values, given, group } = await resolveTraining('vae', vaeOptions, flags);
  assertImagesFit(values, given);
  return { values, ...(group && { group }) };
}
