/** A process of processes.test.ts, which trains the small model or the toy together with others. */
import { disposeTree, flattenTree, type JoinedProcesses, type TensorTree } from '@tb/runtime';
import { createImageGenerator, type ImageModel } from '@tb/tokenbridge';
import { type MemberTask, memberMain } from '../../xla/test/process-group.js';
import { type BatchShare, completeBatch } from '../src/data/batch-share.js';
import { prefetch } from '../src/data/batches.js';
import type { LatentBatch } from '../src/data/latent-batches.js';
import { createRunLog } from '../src/log/run-log.js';
import type { Task, TrainOptions } from '../src/task.js';
import { train } from '../src/train.js';
import { rowsOfBatch, smallBatch, smallDecoder, smallModelTask, smallSizes } from './small-model.js';
import { toyOptions, toyTask } from './toy-task.js';

/** What a process is to train. */
export type TrainTask = MemberTask & {
  model: 'toy' | 'small';
  out: string;
  options: Partial<TrainOptions>;
  /** The first time that this step's batch is made, its loss is NaN. */
  poisonedStep?: number;
  /** This process gets SIGTERM when it makes the batch of this step. */
  stopAtStep?: number;
};

/** What a process reports. */
export type TrainReport = {
  losses: number[];
  /** Weights and average, by name. */
  weights: Record<string, number[]>;
  step: number;
  stopped: boolean;
  retries: number;
  /** Rows of all batches that this process made. */
  rows: number[];
};

async function run(task: TrainTask, processes: JoinedProcesses): Promise<TrainReport> {
  const { devices, out, model } = task;
  const controller = new AbortController();
  process.on('SIGTERM', () => controller.abort());
  const log = createRunLog({ out, title: model, config: {}, terminal: { write: () => {} }, processes });
  const losses: number[] = [];
  const { step } = log;
  log.step = (number, values, images) => {
    losses[number - 1] = values.loss;
    return step(number, values, images);
  };
  const parallelism = { microBatches: 1, ...task.options.parallelism, devices: devices * processes.count };
  const options = toyOptions(out, { ...task.options, parallelism });
  const rows: number[] = [];
  const trained = model === 'toy' ? toyOf(task, rows) : smallOf(task, rows);
  const { state, progress, stopped } = await train(trained as Task, options, log, controller.signal);
  const weights = await valuesOf({ params: state.params, ema: state.ema });
  disposeTree(state);
  return { losses, weights, step: progress.step, retries: progress.retries, stopped, rows };
}

function toyOf({ poisonedStep, stopAtStep }: TrainTask, rows: number[]) {
  const tried = new Set<number>();
  const task = toyTask({
    keepProbability: 1,
    poisonedStep: (step) => {
      const isFirst = !tried.has(step);
      tried.add(step);
      return isFirst && step + 1 === poisonedStep;
    },
    onBatch: (step) => void (step + 1 === stopAtStep && process.kill(process.pid, 'SIGTERM')),
  });
  const { openBatches } = task;
  task.openBatches = (firstStep, share) => {
    const source = openBatches(firstStep, share);
    const next = async () => {
      const batch = await source.next();
      rows.push(batch.indices.length);
      return batch;
    };
    return { ...source, next };
  };
  return task;
}

const images = 12;

function smallOf(_: TrainTask, made: number[]): Task<ImageModel, LatentBatch> {
  return {
    ...smallModelTask({ dropout: 0.2 }),
    openBatches(firstStep: number, share: BatchShare = completeBatch) {
      const rows = share.rowsOf(images);
      const make = async (step: number): Promise<LatentBatch> => {
        made.push(rows.length);
        return rowsOfBatch(smallBatch(step, images), rows);
      };
      const { next } = prefetch(make, firstStep, 0);
      return { samplesPerEpoch: 100, batchSize: images, next, describe: () => 'latents', close: async () => {} };
    },
    async draw(params) {
      const vae = smallDecoder();
      const generator = createImageGenerator({
        model: { params, config: smallSizes(0) },
        vae,
        steps: 2,
        batchSize: 1,
        guidanceScale: 1,
        precision: 'fp32',
      });
      try {
        for await (const { images: drawn } of generator.generate({ labels: [1], seeds: [3] })) return drawn[0];
        throw new Error('nothing was drawn');
      } finally {
        generator.dispose();
        disposeTree(vae.params);
      }
    },
  };
}

async function valuesOf(tree: TensorTree): Promise<Record<string, number[]>> {
  const values: Record<string, number[]> = {};
  for (const [name, tensor] of Object.entries(flattenTree(tree))) values[name] = [...(await tensor.data())];
  return values;
}

await memberMain(run);
