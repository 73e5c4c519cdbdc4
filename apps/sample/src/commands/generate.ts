import {
  choice,
  engineOptions,
  integer,
  list,
  listenForStop,
  mergeValues,
  number,
  prepareFile,
  prepareFolder,
  startEngine,
  tableCommand,
  text,
  toggle,
  UsageError,
  type ValuesOf,
} from '@tb/command-line';
import type { Pixels } from '@tb/trainer';
import { parseClasses, readClassNames } from '../generation/classes.js';
import { shownJobs, writeGrid } from '../generation/grid.js';
import { type Job, listJobs } from '../generation/jobs.js';
import { writeEvaluatorFile } from '../generation/npz.js';
import { missingJobs, writePicture } from '../generation/picture-folder.js';
import { createProgressLine } from '../generation/progress.js';
import { createSampler, type Sampler } from '../generation/sampler.js';
import type { Settings } from '../generation/settings.js';
import { type LoadedModel, loadModel, loadVaeFor, pictureSize, type WeightSet } from '../weights/load-model.js';
import { samplingDefaults } from '../weights/sampling-defaults.js';
import { vaeOptions } from './vae-options.js';

const generateOptions = {
  backend: engineOptions.backend,
  device: engineOptions.device,
  precision: engineOptions.precision,
  model: text('run of tb-train, .safetensors file or official .pth', 'path'),
  modelConfig: text(
    "JSON with a model's configuration, or the official code's arguments: for a .pth of a size of your own",
    'file',
  ),
  ...vaeOptions,
  anyVae: toggle('use --vae although the model was trained with another autoencoder'),
  ema: toggle('averaged weights of a checkpoint or .pth (what happens unless --raw is given)'),
  raw: toggle('weights as training left them, of a checkpoint or .pth'),
  classes: list('all, or names, numbers from 0 and ranges such as 0-9', 'all|a,b,…'),
  classNames: text('file with the name of each class on a line, for weights that bring none', 'file'),
  count: integer('pictures of each class', { min: 1 }),
  cfg: number('guidance scale, 1 for none (default: 3.1 for large, 3.45 for huge, 2 for tiny)'),
  cfgSchedule: choice('how guidance grows while a picture fills', ['linear', 'constant']),
  temperature: number('of the tokens, 0 for the likeliest (default: 0.97 for large, 0.91 for huge, 1 for tiny)', {
    min: 0,
  }),
  numIter: integer('steps per picture (default: 256 for large and huge, 16 for tiny)', { min: 1 }),
  order: choice('in which the positions of a picture fill', ['random', 'raster', 'confidence']),
  seed: integer('the same seed gives the same pictures, at any batch size and count'),
  batch: integer('pictures made at once', { min: 1, max: 4096 }),
  grid: text('labelled overview of the pictures', 'file.png'),
  out: text('folder for one PNG per picture; pictures already there are kept', 'folder'),
  npz: text("file for ADM's evaluator; needs --out", 'file.npz'),
};

type GenerateValues = ValuesOf<typeof generateOptions>;

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
} as const satisfies GenerateValues;

export const generateCommand = tableCommand('generate', generateOptions, generateDefaults, async (flags) => {
  await makePictures(mergeValues<typeof generateOptions>(generateDefaults, flags));
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

async function makePictures(values: GenerateValues): Promise<void> {
  const set = weightSet(values);
  await prepareOutputs(values);
  const engine = await startEngine(values);
  const model = await loadModel(values.model, set, values.modelConfig);
  const vae = await loadVaeFor(model, values.vae, values.vaePreset, values.anyVae ?? false);
  const settings = settingsOf(values, model, vae);
  const { classes } = model.config;
  const names = values.classNames === undefined ? model.classNames : await readClassNames(values.classNames, classes);
  const jobs = listJobs(parseClasses(values.classes!, classes, names), values.count!, settings.seed);
  const missing = values.out === undefined ? jobs : await missingJobs(values.out, jobs, settings);
  if (missing.length < jobs.length)
    console.error(`${jobs.length - missing.length} of ${jobs.length} pictures are there`);

  const computed = engine.name === 'xla' ? `xla, ${values.precision}` : engine.name;
  const shown = new Set(values.grid === undefined ? [] : shownJobs(jobs).map(({ file }) => file));
  const pictures = new Map<string, Pixels>();
  const keep = async (job: Job, picture: Pixels) => {
    if (shown.has(job.file)) pictures.set(job.file, picture);
    if (values.out !== undefined) await writePicture(values.out, job, picture, settings, computed);
  };
  const exitCode = await runBatches(
    missing,
    values.batch!,
    createSampler(model, vae, settings, values.precision!),
    keep,
  );
  if (exitCode !== 0) {
    process.exitCode = exitCode;
    if (values.out !== undefined) console.error(`the same command goes on with the pictures in ${values.out}`);
    return;
  }
  await writeOverviews(values, jobs, pictures, pictureSize(model, vae), settings);
}

function weightSet({ ema, raw }: GenerateValues): WeightSet | undefined {
  if (ema && raw) throw new UsageError('--ema and --raw exclude each other');
  return raw || ema === false ? 'raw' : ema ? 'ema' : undefined;
}

/** Finds out that something cannot be written before the work is done. */
async function prepareOutputs(values: GenerateValues): Promise<void> {
  if (values.npz !== undefined && values.out === undefined)
    throw new UsageError('--npz needs --out: its pictures are kept there, so that an interrupted run can go on');
  if (values.npz !== undefined && !values.npz.endsWith('.npz'))
    throw new UsageError(`--npz must name a file that ends with .npz, got ${JSON.stringify(values.npz)}`);
  if (values.grid === undefined && values.out === undefined) values.grid = 'samples.png';
  if (values.out !== undefined) await prepareFolder('--out', values.out);
  if (values.grid !== undefined) await prepareFile('--grid', values.grid);
  if (values.npz !== undefined) await prepareFile('--npz', values.npz);
}

function settingsOf(values: GenerateValues, model: LoadedModel, vae: { path: string; sha256: string }): Settings {
  const defaults = samplingDefaults(model.config);
  return {
    model: { file: model.path, sha256: model.sha256, ...(model.set && { weights: model.set }) },
    vae: { file: vae.path, sha256: vae.sha256 },
    cfg: values.cfg ?? defaults.cfg,
    cfgSchedule: values.cfgSchedule!,
    temperature: values.temperature ?? defaults.temperature,
    numIter: values.numIter ?? defaults.numIter,
    order: values.order!,
    seed: values.seed!,
  };
}

/**
 * Makes all pictures, a batch at a time. A signal ends it between two steps, so that only whole pictures are written.
 *
 * @returns the exit code that belongs to the signal, or 0
 */
async function runBatches(
  jobs: readonly Job[],
  batch: number,
  sample: Sampler,
  keep: (job: Job, picture: Pixels) => Promise<void>,
): Promise<number> {
  const stop = listenForStop('stopping; whole pictures are kept');
  const line = createProgressLine(jobs.length, process.stderr);
  const size = Math.min(batch, jobs.length);
  try {
    for (let start = 0; start < jobs.length; start += batch) {
      const some = jobs.slice(start, start + batch);
      const pictures = await sample(some, size, stop.signal, ({ step, numIter }) =>
        line.show(start + (some.length * step) / numIter),
      );
      await Promise.all(some.map((job, place) => keep(job, pictures[place])));
      line.show(start + some.length);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    line.end();
    stop.close();
  }
  return stop.exitCode();
}

async function writeOverviews(
  { out, grid, npz }: GenerateValues,
  jobs: readonly Job[],
  pictures: ReadonlyMap<string, Pixels>,
  size: { height: number; width: number },
  settings: Settings,
): Promise<void> {
  const { cfg, cfgSchedule, temperature, numIter, order, seed } = settings;
  console.error(
    `cfg ${cfg} (${cfgSchedule}), temperature ${temperature}, ${numIter} steps, ${order} order, seed ${seed}`,
  );
  if (out !== undefined) console.log(`${jobs.length} pictures in ${out}`);
  if (grid !== undefined) {
    await writeGrid(grid, jobs, pictures, out, settings);
    console.log(`overview: ${grid}`);
  }
  if (npz !== undefined) {
    await writeEvaluatorFile(npz, out!, jobs, size, settings);
    console.log(`for the evaluator: ${npz}`);
  }
}
