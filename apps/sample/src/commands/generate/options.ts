import {
  backendOptions,
  choice,
  clusterOptions,
  integer,
  list,
  number,
  type Overrides,
  resolve,
  text,
  toggle,
  UsageError,
  type Values,
} from '@tb/command-line';
import type { WeightSet } from '@tb/trainer';
import { demoDefault, vaeOfModelOption } from '../../options.js';

/** Which weights to use, of all commands that make images. */
export const weightOptions = {
  model: text('run folder or checkpoint of tb-train, .safetensors file or official .pth', {
    placeholder: 'path',
    ...demoDefault('model'),
  }),
  modelConfig: text(
    "JSON with a model's configuration or the official code's arguments, for a .pth of another size than the paper's",
    'file',
  ),
  vae: vaeOfModelOption,
  anyVae: toggle('accept an autoencoder that the model was not trained with', { default: false }),
  latentScale: number("factor of the autoencoder's latents with which the model was trained", {
    min: 1e-6,
    max: 1e6,
    defaultText: 'what the weights of model or autoencoder state, else 0.2325',
  }),
  ema: toggle('use the averaged weights of a checkpoint or .pth (the default)'),
  raw: toggle('use the weights of a checkpoint or .pth that are not averaged', { default: false }),
  classNames: text('file with one class name per line, for weights without names', 'file'),
};

/** The values of `weightOptions`, with the two flags of the set of weights as one choice. */
export type WithWeightSet<T> = Omit<T, 'ema' | 'raw'> & {
  /** Which of two sets of weights, where one was chosen. */
  set?: WeightSet;
};

export type WeightValues = WithWeightSet<Values<typeof weightOptions>>;

/** Makes one choice of --ema and --raw. @throws UsageError when they exclude each other */
export function withWeightSet<T extends { ema?: boolean; raw: boolean }>({ ema, raw, ...values }: T): WithWeightSet<T> {
  if (ema && raw) throw new UsageError('--ema and --raw exclude each other');
  return { ...values, set: raw || ema === false ? 'raw' : ema ? 'ema' : undefined };
}

export const generateOptions = {
  ...backendOptions,
  ...weightOptions,
  classes: list('all, or names, numbers from 0 and ranges such as 0-9; =7 is the class named 7', {
    placeholder: 'all|a,b,…',
    default: ['all'],
  }),
  count: integer('images of each class', { min: 1, max: 1_000_000, default: 1 }),
  cfg: number('guidance scale, 1 for none', {
    defaultText: '3.1 for base and large, 3.45 for huge, else 3; for MAR 2.9, 3 and 3.2',
  }),
  cfgSchedule: choice('how guidance grows as positions become known', ['linear', 'constant'], { default: 'linear' }),
  temperature: number('temperature of the tokens, 0 for the likeliest', {
    min: 0,
    defaultText: '0.97 for base and large, 0.91 for huge, else 1; for MAR 1',
  }),
  numIter: integer('sampling steps per image', {
    min: 1,
    defaultText: '256 for base, large and huge, else a quarter of the positions',
  }),
  denoisingSteps: integer('denoising steps of each position, for a model with a diffusion head (MAR)', {
    min: 2,
    max: 1000,
    defaultText: '100',
  }),
  order: choice('order in which the positions of an image are filled', ['random', 'raster', 'confidence'], {
    default: 'random',
  }),
  seed: integer(
    'equal seeds give equal images for any --count and --batch (in bf16, another --batch rounds differently)',
    {
      default: 0,
    },
  ),
  batch: integer('images computed together', { min: 1, max: 4096, default: 10 }),
  grid: text('overview of the images, with their classes', {
    placeholder: 'file.png',
    defaultText: 'samples.png, if --out is not set',
  }),
  out: text('folder for one PNG per image; images that are there already are kept', 'folder'),
  npz: text("file for ADM's evaluator; needs --out", 'file.npz'),
  ...clusterOptions,
};

type AllValues = Values<typeof generateOptions>;

export type GenerateValues = Omit<WithWeightSet<AllValues>, 'grid' | 'out' | 'npz'> & {
  /** File of the overview, if there is to be one. */
  grid?: string;
  /** Folder for every image, if they are to be kept, and a file for ADM's evaluator. */
  images?: { folder: string; npz?: string };
};

/** @throws UsageError when options exclude each other */
export function resolveGenerate(flags: Overrides<typeof generateOptions>): GenerateValues {
  const { grid, out, npz, ...values } = withWeightSet(resolve(generateOptions, flags));
  if (npz !== undefined && out === undefined)
    throw new UsageError('--npz needs --out: the images are kept there, so that an interrupted run can be resumed');
  return {
    ...values,
    grid: grid ?? (out === undefined ? 'samples.png' : undefined),
    images: out === undefined ? undefined : { folder: out, npz },
  };
}
