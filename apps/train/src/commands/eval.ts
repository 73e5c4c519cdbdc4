import { engineOptions, integer, mergeValues, number, tableCommand, text, type ValuesOf } from '@tb/command-line';
import { dataOptions } from '../options/tables.js';

const evalOptions = {
  ...engineOptions,
  ...dataOptions,
  model: text('weights of the model', 'file'),
  vae: text('weights of the autoencoder', 'file'),
  features: text('feature network made by tb-train features; without it Inception-v3', 'file'),
  weights: text('of Inception-v3 (.pth, .safetensors); default: the caches of @tb/metrics and PyTorch', 'file'),
  samples: integer('pictures to generate, and pictures of --data to compare them with', { min: 2 }),
  batch: integer('pictures generated together', { min: 1 }),
  seed: integer('of the generated pictures and of the bootstrap'),
  numIter: integer('steps in which a picture is generated', { min: 1 }),
  cfg: number('guidance scale', { min: 1 }),
  json: text('where the report is saved', 'file'),
};

export type EvalValues = ValuesOf<typeof evalOptions>;

const evalDefaults = {
  backend: 'auto',
  samples: 500,
  batch: 20,
  seed: 0,
  numIter: 64,
  cfg: 1,
  imageSize: 64,
  json: 'eval.json',
} as const satisfies EvalValues;

export const evalCommand = tableCommand('eval', evalOptions, evalDefaults, async (flags) => {
  const { evaluateModel } = await import('../runs/evaluate-model.js');
  await evaluateModel(mergeValues<typeof evalOptions>(evalDefaults, flags));
})
  .description("Measure a model's pictures against real ones, on features of one's own or of Inception-v3")
  .addHelpText(
    'after',
    `
Example:
  tb-train eval --data photos --crops --model model.safetensors --vae vae.safetensors --features features.safetensors

With --features the network that made them also judges, as a classifier, whether pictures show the class that was asked for;
its judgement of held-out real pictures stands beside it. All pictures are held in memory: for 50,000 of them use
tb-sample generate and tb-sample evaluate.`,
  );
