/** Every kernel as compiled code against TensorFlow.js's own CPU backend. */
import { dropoutMask, randomKey, useBackend } from '@tb/runtime';
import { expectClose } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Executor } from '../src/executor.js';
import { jit } from '../src/jit.js';
import type { TracedFunction } from '../src/trace.js';
import { arrayCases } from './array-cases.js';
import { hasTestDevice, useTestDevice } from './device.js';
import { elementwiseCases } from './elementwise-cases.js';
import { type Case, numbers } from './kernel-inputs.js';

const cases: Record<string, Case> = { ...elementwiseCases, ...arrayCases };

type Result = { shape: number[]; dtype: string; values: number[] };

/** The result, and where it has one the gradient by all inputs of the sum of its products with fixed numbers. */
function evaluate({ run, hasGradient }: Case, inputs: tf.Tensor[]): tf.Tensor[] {
  const forward = [run(...inputs)].flat();
  if (!hasGradient) return forward;
  const weighted = (...own: tf.Tensor[]) => {
    const y = run(...own) as tf.Tensor;
    return tf.sum(tf.mul(y, numbers(y.shape, { seed: 5 }))) as tf.Scalar;
  };
  return [...forward, ...tf.grads(weighted)(inputs)];
}

/** Results of all cases by name; a case that throws gives its error. Together, since each program costs the compiler. */
async function evaluateAll(compile: <F extends TracedFunction>(fn: F) => F): Promise<Record<string, Result[] | Error>> {
  const errors: Record<string, Error> = {};
  const all = compile((inputs: Record<string, tf.Tensor[]>) => {
    const results: Record<string, tf.Tensor[]> = {};
    for (const [name, each] of Object.entries(cases)) {
      try {
        results[name] = evaluate(each, inputs[name] ?? []);
      } catch (error) {
        errors[name] = error as Error;
      }
    }
    return results;
  });
  const computed = all(Object.fromEntries(Object.entries(cases).map(([name, { inputs }]) => [name, inputs()])));
  const results: Record<string, Result[] | Error> = errors;
  for (const [name, tensors] of Object.entries(computed)) {
    results[name] = await Promise.all(
      tensors.map(async (x) => ({ shape: x.shape, dtype: x.dtype, values: [...(await x.data())] })),
    );
  }
  return results;
}

const form = ({ shape, dtype }: Result) => ({ shape, dtype });

describe.skipIf(!hasTestDevice())('kernels', () => {
  let executor: Executor;
  let expected: Record<string, Result[] | Error>;
  let actual: Record<string, Result[] | Error>;
  beforeAll(async () => {
    await useBackend('cpu');
    expected = await evaluateAll((fn) => fn);
    executor = await useTestDevice();
    actual = await evaluateAll((fn) => jit(fn));
  }, 120_000);
  afterAll(() => executor.dispose());

  it.each(Object.keys(cases))('%s', (name) => {
    const [ours, theirs] = [actual[name], expected[name]];
    if (theirs instanceof Error) throw theirs;
    if (ours instanceof Error) throw ours;
    expect(ours.map(form)).toEqual(theirs.map(form));
    const tolerance = executor.platform === 'cpu' ? 2e-6 : 1e-4; // a GPU has its own exp, sin …
    for (const [index, { values }] of ours.entries()) {
      expectClose(values, theirs[index].values, tolerance, index === 0 ? 'value' : `gradient ${index}`);
    }
  });

  it('gives dropout masks of the right mean, different for different keys and places', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map((seed) => jit((key: tf.Tensor) => dropoutMask(key, [50, 200], 0.9))(randomKey(seed)).data()),
    );
    const kept = first.filter((value) => value > 0).length / first.length;
    expect(Math.abs(kept - 0.9)).toBeLessThan(4 * Math.sqrt((0.9 * 0.1) / first.length));
    expect(new Set(first)).toEqual(new Set([0, Math.fround(1 / 0.9)]));
    const agree = first.filter((value, i) => value === second[i]).length / first.length;
    expect(Math.abs(agree - 0.82)).toBeLessThan(0.02);
  });
});
