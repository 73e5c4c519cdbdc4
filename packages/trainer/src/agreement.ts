import { createHash } from 'node:crypto';
import { getJson, nextKey, type ProcessGroup, putJson } from '@tb/runtime';
import type { TrainOptions } from './task.js';
import { parallelismOf } from './train-step.js';

/** Processes start, and load their data, at different speeds. */
const timeoutMs = 30 * 60_000;

/** What must be the same in all processes, for them to train one model. Paths may differ. */
function settingsOf(options: TrainOptions): Record<string, unknown> {
  const { steps, seed, schedule, adamw, clipNorm, emaRate, precision, resume, data, metadata } = options;
  const { lossDelay, checkpointEvery, nanRetries } = options;
  const { devices, microBatches } = parallelismOf(options);
  return {
    length: { steps, checkpointEvery, lossDelay, nanRetries, resume },
    optimizer: { schedule, adamw, clipNorm, emaRate, precision, seed },
    parallelism: { devices, microBatches },
    data,
    model: metadata,
  };
}

/**
 * Compares what the processes of a group are to train. Each waits for all.
 *
 * @throws Error in every process that differs from process 0, and in process 0, naming what differs; when a process does not
 *   come in time
 */
export function assertSameRun(processes: ProcessGroup, options: TrainOptions): void {
  const { index, count, store } = processes;
  if (count === 1 || !store) return;
  const { devices } = parallelismOf(options);
  if (devices % count !== 0) {
    throw new Error(`train: parallelism.devices must be a multiple of the ${count} processes, got ${devices}`);
  }
  const own = Object.fromEntries(
    Object.entries(settingsOf(options)).map(([name, value]) => [name, hash(value)]),
  ) as Record<string, string>;
  const key = nextKey(processes, 'train');
  putJson(store, `${key}/${index}`, own);
  const compared = index === 0 ? Array.from({ length: count - 1 }, (_, other) => other + 1) : [0];
  for (const other of compared) {
    const theirs = getJson<typeof own>(store, `${key}/${other}`, { timeoutMs });
    const differing = Object.keys(own).filter((name) => own[name] !== theirs[name]);
    if (differing.length === 0) continue;
    throw new Error(
      `process ${Math.max(index, other)} has another ${differing.join(', another ')} than process 0: all processes must ` +
        'train with the same options, on the same data',
    );
  }
}

const hash = (value: unknown) =>
  createHash('sha256')
    .update(JSON.stringify(value) ?? '')
    .digest('hex');
