import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePng, imageGrid, squareImages } from '@tb/images';
import { disposeTree, mapTree } from '@tb/runtime';
import type { ImageModel } from '@tb/tokenbridge';
import {
  classNamesOf,
  createModelTask,
  createRunLog,
  defaultAdamW,
  encodedImages,
  type ImageSource,
  type LoadedModel,
  type LogRecord,
  type ReportImage,
  type RunLog,
  readRecords,
  type Task,
  train,
} from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { batchesOf, openData, readSome } from '../../data.js';
import { packageFolder } from '../../package.js';
import type { DemoValues } from './options.js';
import { cropData, type DemoWeights, generateNumbered, silent } from './steps.js';

/** Images of the new class that are drawn before and after. */
const drawn = 5;
const batch = 8;

/** What the demo's training changed. */
export type LearnedClass = {
  name: string;
  /** Crops of the photograph, and images generated before and after with the same seeds. */
  image: ReportImage;
  /** Loss on crops of a part of the photograph that training does not see, in nats per token. */
  heldOutLoss: { before: number; after: number };
  records: LogRecord[];
};

/** Adds a class to the demo's model and trains it on crops of one more photograph. The model in `weights` does not change. */
export async function learnClass(weights: DemoWeights, values: DemoValues): Promise<LearnedClass> {
  const label = weights.model.config.classes;
  const data = { ...cropData(packageFolder('demo/new-class'), values.seed), batch };
  const { training, validation } = await openData(data, silent);
  const source: ImageSource = { ...training, labelOf: () => label };
  const heldOut = (await readSome({ ...validation!, labelOf: () => label }, batch, 1)).slice(0, 1);
  const model = withNewClass(weights.model, training.classNames[0]);
  const out = await mkdtemp(join(tmpdir(), 'tb-train-demo-'));
  const log = createRunLog({ out, title: 'A new class', config: data, terminal: process.stderr });
  const task = createModelTask({
    config: model.config,
    latents: encodedImages(weights.vae.params, weights.vae.config, training.size),
    latentScale: weights.vae.config.latentScale,
    openBatches: batchesOf(source, data, log.badImage),
    heldOut,
    classNames: classNamesOf(model),
    initial: async () => mapTree((leaf) => tf.mul(leaf, 1), model.params), // training consumes its own copy
  });
  try {
    const measure = async (params: ImageModel) => {
      const { images } = await generateNumbered({ ...weights, model: { ...model, params } }, values, 0, drawn, label);
      return { images, loss: (await task.validate!(params)).loss };
    };
    const before = await measure(model.params);
    const params = await trainTask(task, log, out, values);
    const after = await measure(params);
    disposeTree(params);
    return {
      name: training.classNames[0],
      image: await drawRows([heldOut[0].images, before.images, after.images], training.size),
      heldOutLoss: { before: before.loss, after: after.loss },
      records: await readRecords(join(out, 'log.jsonl')),
    };
  } finally {
    tf.dispose(model.params.class_emb.weight);
    await rm(out, { recursive: true });
  }
}

/** The model with one class more, whose embedding starts as the mean of the others. The other tensors are shared. */
function withNewClass(model: LoadedModel, name: string): LoadedModel {
  const { weight } = model.params.class_emb;
  const extended = tf.tidy(() => tf.concat<tf.Tensor>([weight, tf.mean(weight, 0, true)], 0));
  return {
    ...model,
    config: { ...model.config, classes: model.config.classes + 1 },
    classNames: [...classNamesOf(model), name],
    params: { ...model.params, class_emb: { weight: extended } },
  };
}

/** Trains for `values.steps` updates. @returns the parameters after the last one; the caller disposes them */
async function trainTask<Batch>(
  task: Task<ImageModel, Batch>,
  log: RunLog,
  out: string,
  { steps, seed }: DemoValues,
): Promise<ImageModel> {
  const { state } = await train(
    task,
    {
      out,
      steps,
      seed,
      schedule: { kind: 'cosine', peak: 1e-3, minimum: 0, warmup: 2, total: steps },
      adamw: defaultAdamW,
      clipNorm: 1,
      emaRate: 0,
      resume: false,
      checkpointEvery: steps,
      keepCheckpoints: 1,
      validateEvery: steps + 1,
      drawEvery: steps + 1,
      nanRetries: 0,
      lossDelay: 0,
      config: {},
    },
    log,
  );
  const { params, ...rest } = state;
  disposeTree(rest);
  return params;
}

/** Draws the first images of each set in a row: crops, and images generated before and after. */
async function drawRows(sets: Uint8Array[], size: number): Promise<ReportImage> {
  const images = sets.flatMap((bytes) => squareImages(bytes, size).slice(0, drawn));
  const rowLabels = ['photograph', 'before', 'after'];
  return {
    title:
      'A class that the model did not know: crops of its photograph, and images generated before and after training',
    png: await encodePng(imageGrid(images, { columns: drawn, rowLabels, zoom: 2 })),
  };
}
