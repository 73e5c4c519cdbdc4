import {
  backendOptions,
  integer,
  number,
  type Overrides,
  omit,
  resolve,
  text,
  toggle,
  UsageError,
  type Values,
} from '@tb/command-line';
import { vaeOption } from '../../options/files.js';
import { assertImagesFit, imageOptions } from '../../options/images.js';

export const evalOptions = {
  ...omit(imageOptions, 'flip'),
  imageSize: {
    group: imageOptions.imageSize.group,
    ...integer('side in pixels of the images of --data to compare with', {
      min: 8,
      max: 4096,
      defaultText: 'that of the generated ones',
    }),
  },
  ...omit(backendOptions, 'precision'),
  model: text('run folder of tb-train model, or its weights', { placeholder: 'path' }),
  vae: vaeOption,
  anyVae: toggle('accept an autoencoder that the model was not trained with', { default: false }),
  features: text('feature network made by tb-train features, to measure with instead of Inception-v3', {
    placeholder: 'file',
  }),
  weights: text('weights of Inception-v3 (.pth, .safetensors)', {
    placeholder: 'file',
    defaultText: 'the caches of @tb/metrics and PyTorch',
  }),
  samples: integer('images to generate, and real images to compare them with', { min: 2, default: 500 }),
  batch: integer('images generated together', { min: 1, max: 4096, default: 20 }),
  seed: integer('seed of the generated images, the crops and the bootstrap', { max: 2 ** 32 - 1, default: 0 }),
  numIter: integer('sampling steps per image', { min: 1, default: 64 }),
  cfg: number('guidance scale; 1 means no guidance', { min: 1, default: 1 }),
  json: text('file for the report', { placeholder: 'file', default: 'eval.json' }),
};

export type EvalValues = Values<typeof evalOptions>;

export function resolveEval(flags: Overrides<typeof evalOptions>): EvalValues {
  const values = resolve(evalOptions, flags);
  assertImagesFit(values, [flags]);
  if (values.features !== undefined && values.weights !== undefined)
    throw new UsageError('--weights does nothing with --features, which replaces Inception-v3');
  return values;
}
