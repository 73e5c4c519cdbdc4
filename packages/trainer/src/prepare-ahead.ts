// Compiles the programs of a run before it needs them, while data loads and the first steps run.
import { backendTraits, type HostRandom, type Key, type TensorTree, tidyTree, untilReady } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { StepInputs, TrainState } from './train-step.js';

/** What is prepared of a task. */
type Preparable<Params extends TensorTree> = {
  examples?(images: number, random: HostRandom): TensorTree[];
  prepare?(ema: () => Params, signal: AbortSignal): Promise<void>;
};

/** What the programs are prepared for. */
type Arguments<Params extends TensorTree> = {
  /** The states at this moment: each step replaces them. */
  states(): readonly TrainState<Params>[];
  constants: TensorTree[];
  runKey: Key;
  /** Images of a batch. */
  images: number;
  /** Of the first step. */
  random: HostRandom;
};

/** See `createTrainStep`. */
type PreparableStep<Params extends TensorTree> = {
  prepare(states: TrainState<Params>[], constants: TensorTree[], batch: TensorTree, inputs: StepInputs): Promise<void>;
  cancel(): void;
};

/**
 * Begins to prepare the steps of all shapes, and then validation. Functions are traced one after another, with a turn
 * of the event loop in between, since tracing keeps the thread busy. What fails is compiled again, and reported, where it is needed.
 */
export function prepareAhead<Params extends TensorTree>(
  task: Preparable<Params>,
  trainStep: PreparableStep<Params>,
  { states, constants, runKey, images, random }: Arguments<Params>,
): { stop(): void } {
  if (!backendTraits().compilesPerShape) return { stop() {} };
  const end = new AbortController();
  const prepareExample = (tensors: TensorTree) => {
    const inputs = tidyTree(() => ({ learningRate: tf.scalar(0), step: tf.scalar(0, 'int32') }));
    trainStep.prepare([...states()], constants, tensors, { ...inputs, runKey }).catch(() => undefined);
    tf.dispose(inputs);
  };
  const work = async () => {
    for (const tensors of task.examples?.(images, random) ?? []) {
      if (!end.signal.aborted) prepareExample(tensors);
      tf.dispose(tensors as tf.TensorContainer);
      await nextTurn();
    }
    if (!end.signal.aborted) await task.prepare?.(() => states()[0].ema, end.signal);
  };
  work().catch(() => undefined);
  return {
    stop() {
      end.abort();
      trainStep.cancel();
    },
  };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Waits until a step's program is ready, or until the run is to stop. */
export async function untilReadyOrStopped(prepared: Promise<void>, signal?: AbortSignal): Promise<void> {
  prepared.catch(() => undefined); // after a stop it is not read
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
    signal?.addEventListener('abort', stop, { once: true });
  });
  if (signal?.aborted) stop();
  try {
    await untilReady('a training step', Promise.race([prepared, stopped]));
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
