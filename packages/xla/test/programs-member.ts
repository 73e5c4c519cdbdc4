/** A process of processes.test.ts. */
import { allReduceMean, backendTraits, type JoinedProcesses, jit, replicate } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type MemberTask, memberMain } from './process-group.js';

export type ProgramsTask = MemberTask & {
  /** The constant that the program adds: where it differs, the programs differ. */
  constant: number;
};

/** What a process reports. */
export type ProgramsResult = {
  deviceCount: number;
  means: number[][];
  alone: number | null;
  oneForAll: number[];
};

async function run({ devices, constant }: ProgramsTask, { index, count }: JoinedProcesses): Promise<ProgramsResult> {
  const replicas = devices * count;
  const step = (state: tf.Tensor, x: tf.Tensor) => {
    const mean = allReduceMean(tf.add(x, constant));
    return { state: tf.add(state, mean), mean };
  };
  const program = jit(step, { donate: [0], replicas });
  let states: tf.Tensor[] = replicate(tf.scalar(100), replicas);
  const inputs = Array.from({ length: devices }, (_, device) => tf.scalar(10 * index + device));
  const means: number[][] = [];
  for (let call = 0; call < 2; call++) {
    const results = program(states, inputs);
    means.push(results.map(({ mean }) => mean.dataSync()[0]));
    states = results.map(({ state }) => state);
  }
  // Only one process computes something between two programs of all.
  const alone = index === 1 ? jit((x: tf.Tensor) => tf.square(x))(tf.scalar(index + 2)).dataSync()[0] : null;
  const last = jit((x: tf.Tensor) => allReduceMean(x), { replicas })(states);
  return {
    deviceCount: backendTraits().deviceCount,
    means,
    alone,
    oneForAll: last.map((value) => value.dataSync()[0]),
  };
}

await memberMain(run);
