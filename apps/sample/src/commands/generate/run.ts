import { relative } from 'node:path';
import { createProgressLine, listenForStop, prepareFile, prepareFolder } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import type { Pixels } from '@tb/images';
import { printable } from '@tb/io';
import { backendTraits } from '@tb/runtime';
import { createImageGenerator, type GenerateProgress, type ImageGenerator, recommendedSampling } from '@tb/tokenbridge';
import { findVae, type LoadedModel, type LoadedVae, prefixLine } from '@tb/trainer';
import { findModel, imageSizeOf, openModel, openVaeFor } from '../../weights.js';
import { describeWeights, missingJobs, type Settings, writeImage } from './image-folder.js';
import { type Job, listJobs, parseClasses, readClassNames } from './jobs.js';
import type { GenerateValues } from './options.js';
import { shownJobs, writeEvaluatorFile, writeGrid } from './overviews.js';

/** `tb-sample generate`. */
export async function generateImages(values: GenerateValues): Promise<void> {
  const path = findModel(values);
  if (values.vae !== undefined) findVae(values.vae); // refuses before a backend is loaded
  await prepareOutputs(values);
  const backend = await startBackend(values);
  const model = await openModel(path, values);
  const vae = await openVaeFor(model, values);
  printWeights(model, vae);

  const settings = settingsOf(values, model, vae);
  const jobs = await listAllJobs(values, model);
  const folder = values.images?.folder;
  const missing = folder === undefined ? jobs : await missingJobs(folder, jobs, settings);
  if (missing.length < jobs.length)
    console.error(`${jobs.length - missing.length} of ${jobs.length} images are there already`);

  const computed = backendTraits().precisions.length > 1 ? `${backend.name}, ${values.precision}` : backend.name;
  const shown = new Set(values.grid === undefined ? [] : shownJobs(jobs).map(({ file }) => file));
  const images = new Map<string, Pixels>();
  const keep = async (job: Job, image: Pixels) => {
    if (shown.has(job.file)) images.set(job.file, image);
    if (folder !== undefined) await writeImage(folder, job, image, settings, computed);
  };
  const generator = generatorOf(model, vae, settings, values);
  const exitCode = await runBatches(missing, generator, keep).finally(() => generator.dispose());
  if (exitCode === 0) return writeOverviews(values, jobs, images, imageSizeOf(model, vae), settings);
  process.exitCode = exitCode;
  if (folder !== undefined) console.error(`run the same command again to resume; finished images are in ${folder}`);
}

/** Finds out that something cannot be written before the work is done. */
async function prepareOutputs({ grid, images }: GenerateValues): Promise<void> {
  if (grid !== undefined) await prepareFile('--grid', grid, '.png');
  if (images?.npz !== undefined) await prepareFile('--npz', images.npz, '.npz');
  if (images !== undefined) await prepareFolder('--out', images.folder);
}

/** Which of the files near a name are used: of a run there are several, and of the demo none was named. */
function printWeights(model: LoadedModel, vae: LoadedVae): void {
  const { path, set, step, newerCheckpoint, classNames, config } = model;
  const facts = [
    ...(set === undefined ? [] : [set === 'ema' ? 'averaged weights' : 'weights that are not averaged']),
    ...(step === undefined ? [] : [`step ${step}`]),
    `${config.classes} classes${classNames ? '' : ' without names'}`,
  ];
  const shown = (file: string) => printable(relative('.', file).startsWith('..') ? file : relative('.', file));
  console.error(`model ${shown(path)}: ${facts.join(', ')}`);
  if (newerCheckpoint) console.error(`the run has a newer checkpoint: --model ${shown(newerCheckpoint)} uses it`);
  console.error(`autoencoder ${shown(vae.path)}`);
  for (const line of [prefixLine(model), prefixLine(vae)]) if (line !== undefined) console.error(line);
}

function settingsOf(values: GenerateValues, model: LoadedModel, vae: LoadedVae): Settings {
  const recommended = recommendedSampling(model.config);
  return {
    ...describeWeights(model, vae),
    cfg: values.cfg ?? recommended.guidanceScale,
    cfgSchedule: values.cfgSchedule,
    temperature: values.temperature ?? recommended.temperature,
    numIter: values.numIter ?? recommended.steps,
    order: values.order,
    seed: values.seed,
  };
}

async function listAllJobs(
  { classes, classNames, count, seed }: GenerateValues,
  model: LoadedModel,
): Promise<readonly Job[]> {
  const total = model.config.classes;
  const names = classNames === undefined ? model.classNames : await readClassNames(classNames, total);
  return listJobs(parseClasses(classes, total, names), count, seed);
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
  const stop = listenForStop('stopping; finished images are kept');
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
  { grid, images: outputs }: GenerateValues,
  jobs: readonly Job[],
  images: ReadonlyMap<string, Pixels>,
  size: { height: number; width: number },
  settings: Settings,
): Promise<void> {
  const { cfg, cfgSchedule, temperature, numIter, order, seed } = settings;
  console.error(
    `guidance ${cfg} (${cfgSchedule}), temperature ${temperature}, ${numIter} steps, ${order} order, seed ${seed}`,
  );
  if (outputs) console.log(`${jobs.length} images in ${outputs.folder}`);
  if (grid !== undefined) {
    await writeGrid(grid, jobs, images, outputs?.folder, settings);
    console.log(`overview: ${grid}`);
  }
  if (outputs?.npz !== undefined) {
    await writeEvaluatorFile(outputs.npz, outputs.folder, jobs, size, settings);
    console.log(`for the evaluator: ${outputs.npz}`);
  }
}
