import {
  choice,
  engineOptions,
  integer,
  list,
  number,
  type Resolved,
  tableCommand,
  text,
  toggle,
  type ValuesOf,
  withDefaults,
} from '@tb/command-line';
import { vaeOption } from './vae-option.js';

const generateOptions = {
  backend: engineOptions.backend,
  device: engineOptions.device,
  precision: engineOptions.precision,
  model: text('run of tb-train, .safetensors file or official .pth', 'path'),
  modelConfig: text(
    "JSON with a model's configuration, or the official code's arguments: for a .pth of a size of your own",
    'file',
  ),
  vae: vaeOption,
  anyVae: toggle('use --vae although the model was trained with another autoencoder'),
  ema: toggle('averaged weights of a checkpoint or .pth (what happens unless --raw is given)'),
  raw: toggle('weights as training left them, of a checkpoint or .pth'),
  classes: list('all, or names, numbers from 0 and ranges such as 0-9', 'all|a,b,…'),
  classNames: text('file with the name of each class on a line, for weights that bring none', 'file'),
  count: integer('pictures of each class', { min: 1, max: 1_000_000 }),
  cfg: number('guidance scale, 1 for none (default: 3.1 for large, 3.45 for huge, 3 for tiny)'),
  cfgSchedule: choice('how guidance grows while a picture fills', ['linear', 'constant']),
  temperature: number('of the tokens, 0 for the likeliest (default: 0.97 for large, 0.91 for huge, 1 for tiny)', {
    min: 0,
  }),
  numIter: integer('steps per picture (default: 256 for large and huge, 16 for tiny)', { min: 1 }),
  order: choice('in which the positions of a picture fill', ['random', 'raster', 'confidence']),
  seed: integer('the same seed gives the same pictures at any count; at any --batch too, unless bf16 rounds otherwise'),
  batch: integer('pictures made at once', { min: 1, max: 4096 }),
  grid: text('labelled overview of the pictures', 'file.png'),
  out: text('folder for one PNG per picture; pictures already there are kept', 'folder'),
  npz: text("file for ADM's evaluator; needs --out", 'file.npz'),
};

const generateDefaults = {
  backend: 'auto',
  precision: 'bf16',
  anyVae: false,
  raw: false,
  classes: ['all'],
  count: 1,
  cfgSchedule: 'linear',
  order: 'random',
  seed: 0,
  batch: 10,
} as const satisfies ValuesOf<typeof generateOptions>;

export type GenerateValues = Resolved<ValuesOf<typeof generateOptions>, typeof generateDefaults>;

export const generateCommand = tableCommand('generate', generateOptions, generateDefaults, async (flags) => {
  const { makePictures } = await import('../runs/make-pictures.js');
  await makePictures(withDefaults(generateDefaults, flags));
})
  .description('Generate pictures of classes')
  .addHelpText(
    'after',
    `
Examples:
  tb-sample generate --model runs/model --vae runs/vae
      one picture of every class, in samples.png
  tb-sample generate --model runs/model --classes cat,dog --count 8 --cfg 3 --seed 7 --grid pets.png
  tb-sample generate --model tokenbridge_l.pth --vae kl16.ckpt --classes 207,360 --backend xla --out pictures
  tb-sample generate --model tokenbridge_l.pth --vae kl16.ckpt --count 50 --batch 64 --out samples --npz samples.npz
      the 50,000 pictures of an evaluation; the same command goes on where it was interrupted

Without --vae the autoencoder is taken from the run's options or from vae.safetensors beside the model; in a checkout of the
repository, the weights of the demo serve when --model is missing. Every PNG says in a text chunk how it was made:
tb-sample inspect picture.png shows it.`,
  );
