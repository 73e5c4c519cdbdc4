import { createProgressLine, listenForStop, prepareFile, prepareFolder, UsageError } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import type { Pixels } from '@tb/images';
import { createImageGenerator, type GenerateProgress, type ImageGenerator, recommendedSampling } from '@tb/tokenbridge';
import type { LoadedModel, LoadedVae, WeightSet } from '@tb/trainer';
import type { GenerateValues } from '../commands/generate.js';
import { parseClasses, readClassNames } from '../generation/classes.js';
import { shownJobs, writeGrid } from '../generation/grid.js';
import { type Job, listJobs } from '../generation/jobs.js';
import { writeEvaluatorFile } from '../generation/npz.js';
import { missingJobs, writePicture } from '../generation/picture-folder.js';
import type { Settings } from '../generation/settings.js';
import { imageSizeOf, loadNamedModel, loadVaeFor } from '../weights/load-model.js';

/** `tb-sample generate`, with every option filled in that has a default. */
export async function makePictures(values: GenerateValues): Promise<void> {
  const set = weightSet(values);
  await prepareOutputs(values);
  const engine = await startEngine(values);
  const model = await loadNamedModel(values.model, set, values.modelConfig);
  const vae = await loadVaeFor(model, values.vae, values.anyVae);
  const settings = settingsOf(values, model, vae);
  const { classes } = model.config;
  const names = values.classNames === undefined ? model.classNames : await readClassNames(values.classNames, classes);
  const jobs = listJobs(parseClasses(values.classes, classes, names), values.count, settings.seed);
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
  const generator = generatorOf(model, vae, settings, values);
  const exitCode = await runBatches(missing, generator, keep).finally(() => generator.dispose());
  if (exitCode !== 0) {
    process.exitCode = exitCode;
    if (values.out !== undefined) console.error(`the same command goes on with the pictures in ${values.out}`);
    return;
  }
  await writeOverviews(values, jobs, pictures, imageSizeOf(model, vae), settings);
}

function weightSet({ ema, raw }: GenerateValues): WeightSet | undefined {
  if (ema && raw) throw new UsageError('--ema and --raw exclude each other');
  return raw || ema === false ? 'raw' : ema ? 'ema' : undefined;
}

/** Finds out that something cannot be written before the work is done. */
async function prepareOutputs(values: GenerateValues): Promise<void> {
  if (values.npz !== undefined && values.out === undefined)
    throw new UsageError('--npz needs --out: its pictures are kept there, so that an interrupted run can go on');
  if (values.grid === undefined && values.out === undefined) values.grid = 'samples.png';
  if (values.grid !== undefined) await prepareFile('--grid', values.grid, '.png');
  if (values.npz !== undefined) await prepareFile('--npz', values.npz, '.npz');
  if (values.out !== undefined) await prepareFolder('--out', values.out);
}

function settingsOf(values: GenerateValues, model: LoadedModel, vae: { path: string; sha256: string }): Settings {
  const recommended = recommendedSampling(model.config);
  return {
    model: { file: model.path, sha256: model.sha256, ...(model.set && { weights: model.set }) },
    vae: { file: vae.path, sha256: vae.sha256 },
    cfg: values.cfg ?? recommended.guidanceScale,
    cfgSchedule: values.cfgSchedule,
    temperature: values.temperature ?? recommended.temperature,
    numIter: values.numIter ?? recommended.steps,
    order: values.order,
    seed: values.seed,
  };
}

function generatorOf(
  model: LoadedModel,
  vae: LoadedVae,
  { cfg, cfgSchedule, temperature, numIter, order }: Settings,
  { batch, precision }: GenerateValues,
): ImageGenerator {
  return createImageGenerator({
    model,
    vae,
    batchSize: batch,
    steps: numIter,
    guidanceScale: cfg,
    guidanceSchedule: cfgSchedule,
    temperature,
    order,
    precision,
  });
}

/**
 * Generates all images, a batch at a time. A signal stops it between two steps, so that only finished images are written.
 *
 * @returns the exit code that belongs to the signal, or 0
 */
async function runBatches(
  jobs: readonly Job[],
  generator: ImageGenerator,
  keep: (job: Job, image: Pixels) => Promise<void>,
): Promise<number> {
  const stop = listenForStop('stopping; whole pictures are kept');
  const line = createProgressLine();
  const request = {
    labels: jobs.map(({ label }) => label),
    seeds: jobs.map(({ seed }) => seed),
    signal: stop.signal,
    onProgress: ({ known, positions }: GenerateProgress) => line.show((jobs.length * known) / positions, jobs.length),
  };
  try {
    for await (const { first, images } of generator.generate(request)) {
      await Promise.all(images.map((image, place) => keep(jobs[first + place], image)));
      line.show(first + images.length, jobs.length);
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
