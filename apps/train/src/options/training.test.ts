import { readdirSync } from 'node:fs';
import { parse } from 'node:path';
import { resolve } from '@tb/command-line';
import { defaultAdamW } from '@tb/trainer';
import { expect, it } from 'vitest';
import { resolveFeatures } from '../commands/features/options.js';
import { modelOptions, resolveModel } from '../commands/model/options.js';
import { resolveVae } from '../commands/vae/options.js';
import { packageFolder } from '../package.js';
import { assertOneStart, storedOptions } from './training.js';

it('stores what it resolved as options of the same names', async () => {
  const { values } = await resolveModel({ epochs: 2, learningRate: 1e-4 });
  const stored = storedOptions('model', values);
  expect(stored).toMatchObject({ command: 'model', epochs: 2, warmupSteps: 200, learningRate: 1e-4, batch: 64 });
  for (const name of ['steps', 'warmupEpochs', 'baseLearningRate', 'length', 'warmup', 'peak'])
    expect(stored).not.toHaveProperty(name);
});

it('lets a base learning rate override the learning rate that a command has by default', async () => {
  expect((await resolveFeatures({})).values.peak).toEqual({ learningRate: 2e-3 });
  expect((await resolveFeatures({ baseLearningRate: 1e-4 })).values.peak).toEqual({ baseLearningRate: 1e-4 });
});

it('has the optimizer of the trainer as its default', () => {
  const { beta1, beta2, weightDecay } = resolve(modelOptions);
  expect({ ...defaultAdamW, betas: [beta1, beta2], weightDecay }).toEqual(defaultAdamW);
});

it('accepts one start of a run', () => {
  expect(() => assertOneStart([{}, { resume: true, initial: 'a' }])).toThrow(/^--initial does nothing with --resume/);
  assertOneStart([{ initial: 'a' }, { resume: true }]);
});

it.each(readdirSync(packageFolder('configs')).map((file) => parse(file).name))('bundles a valid %s', async (config) => {
  const resolvers = [resolveVae, resolveModel, resolveFeatures];
  const results = await Promise.allSettled(resolvers.map((resolveWith) => resolveWith({ config })));
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
  expect(errors).toHaveLength(2);
  for (const error of errors) expect(error).toMatch(/is for tb-train \w+, not for/);
});
