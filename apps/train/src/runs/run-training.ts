import { listenForStop } from '@tb/command-line';
import { countParameters } from '@tb/nn';
import { disposeTree, type TensorTree } from '@tb/runtime';
import { learningRateAt, type RunLog, type Task, type TrainState, train } from '@tb/trainer';
import { adviseOnMemory, describePlan } from './plan-batch.js';
import type { RunOptions } from './run-options.js';

/**
 * Trains to the end and hands the state to `finish`; or, stopped by a signal, leaves a checkpoint and the exit code that
 * belongs to the signal. A report is written either way.
 *
 * @param finish - writes the results; its sentences stand on top of the report
 */
export async function runTraining<Params extends TensorTree, Batch>(
  task: Task<Params, Batch>,
  options: RunOptions,
  log: RunLog,
  finish: (state: TrainState<Params>) => Promise<string[]>,
): Promise<void> {
  for (const line of [...describePlan(options.parallelism), ...adviseOnWarmup(options.schedule)]) console.error(line);
  const stop = listenForStop();
  try {
    const { state, progress, stopped } = await train(task, options, log, stop.signal);
    const notes = stopped
      ? [`Stopped at step ${progress.step} of ${options.steps}; continue with --resume --out ${options.out}`]
      : [`${countParameters(state.params).toLocaleString('en-US')} parameters`, ...(await finish(state))];
    disposeTree(state);
    for (const note of notes) console.error(note);
    console.error(`report: ${await log.report(notes)}`);
    process.exitCode = stop.exitCode();
  } catch (error) {
    throw adviseOnMemory(error, options.parallelism);
  } finally {
    stop.close();
  }
}

/** What a warm-up that ends after the run does to the learning rate. */
export function adviseOnWarmup(schedule: RunOptions['schedule']): string[] {
  const { warmup, total, peak } = schedule;
  if (warmup <= total) return [];
  const reached = learningRateAt(schedule, total).toPrecision(2);
  return [
    `the warm-up of ${warmup} steps ends after the last of ${total}: the learning rate reaches ${reached} instead of ${peak.toPrecision(2)}; --warmup-steps sets another`,
  ];
}
