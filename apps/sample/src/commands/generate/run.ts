import { relative } from 'node:path';
import {
  createProgressLine,
  findCluster,
  listenForStop,
  prepareFile,
  prepareFolder,
  shareOfCluster,
  UsageError,
  waitForShares,
} from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import type { Pixels } from '@tb/images';
import { printable } from '@tb/io';
import { type Share, shareOf } from '@tb/runtime';
import {
  createImageGenerator,
  type GenerateProgress,
  type ImageGenerator,
  isMar,
  recommendedSampling,
} from '@tb/tokenbridge';
import { findVae, type LoadedModel, type LoadedVae, prefixLine } from '@tb/trainer';
import { findModel, imageSizeOf, openModel, openVaeFor } from '../../weights.js';
import { describeBackend, describeWeights, missingJobs, type Settings, writeImage } from './image-folder.js';
import { type Job, listJobs, parseClasses, readClassNames } from './jobs.js';
import type { GenerateValues } from './options.js';
import { shownJobs, writeEvaluatorFile, writeGrid } from './overviews.js';

/** `tb-sample generate`. */
export async function generateImages(values: GenerateValues): Promise<void> {
  const path = findModel(values);
  if (values.vae !== undefined) findVae(values.vae); // refuses before a backend is loaded
  const share = shareOfCluster(findCluster(values));
  await prepareOutputs(values, share);
  const backend = await startBackend(values);
  const model = await openModel(path, values);
  const vae = await openVaeFor(model, values);
  printWeights(model, vae);

  const settings = settingsOf(values, model, vae);
  const jobs = await listAllJobs(values, model);
  const folder = values.images?.folder;
  const ours = shareOf(jobs, share);
  const missing = folder === undefined ? ours : await missingJobs(folder, ours, settings);
  if (missing.length < ours.length)
    console.error(`${ours.length - missing.length} of ${ours.length} images are there already`);

  const computed = describeBackend(backend, values.precision);
  const shown = new Set(values.grid === undefined ? [] : shownJobs(jobs).map(({ file }) => file));
  const images = new Map<string, Pixels>();
  const keep = async (job: Job, image: Pixels) => {
    if (shown.has(job.file)) images.set(job.file, image);
    if (folder !== undefined) await writeImage(folder, job, image, settings, computed);
  };
  const generator = generatorOf(model, vae, settings, values);
  const exitCode = await runBatches(missing, generator, keep).finally(() => generator.dispose());
  process.exitCode = exitCode;
  if (exitCode !== 0) {
    if (folder !== undefined) console.error(`run the same command again to resume; finished images are in ${folder}`);
  } else if (share.index > 0) {
    console.error(`${ours.length} of ${jobs.length} images in ${folder}; process 0 puts all together`);
  } else {
    if (folder !== undefined && share.count > 1) await waitForOthers(folder, jobs, settings);
    await writeOverviews(values, jobs, images, imageSizeOf(model, vae), settings);
  }
}

/** Waits until all images are there, those of other processes too. */
async function waitForOthers(folder: string, jobs: readonly Job[], settings: Settings): Promise<void> {
  const line = createProgressLine();
  let left = jobs;
  const missing = async () => {
    left = await missingJobs(folder, left, settings);
    return left.length;
  };
  const onMissing = (count: number) => line.show(jobs.length - count, jobs.length, 'all processes');
  await waitForShares({ missing, onMissing }).finally(() => line.end());
}

/** Finds out that something cannot be written before the work is done. */
async function prepareOutputs({ grid, images }: GenerateValues, share: Share): Promise<void> {
  if (share.count > 1 && images === undefined)
    throw new UsageError(`--out is needed: the images of ${share.count} processes come together in a folder`);
  if (grid !== undefined) await prepareFile('--grid', grid, '.png');
  if (images?.npz !== undefined) await prepareFile('--npz', images.npz, '.npz');
  if (images !== undefined) await prepareFolder('--out', images.folder, share);
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
  const { order, denoisingSteps } = values;
  if (isMar(model.config) && order === 'confidence')
    throw new UsageError('--order confidence needs probabilities, which a model with a diffusion head does not give');
  if (!isMar(model.config) && denoisingSteps !== undefined)
    throw new UsageError('--denoising-steps does nothing for a model without a diffusion head');
  return {
    ...describeWeights(model, vae),
    cfg: values.cfg ?? recommended.guidanceScale,
    cfgSchedule: values.cfgSchedule,
    temperature: values.temperature ?? recommended.temperature,
    numIter: values.numIter ?? recommended.steps,
    order,
    ...(isMar(model.config) && { denoisingSteps: denoisingSteps ?? 100 }),
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
  { cfg, cfgSchedule, temperature, numIter, order, denoisingSteps }: Settings,
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
    denoisingSteps,
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
