/** GELU of bf16 activations: as exact as bf16 can store it, in the tail too. */
import { gelu } from '@tb/nn';
import { disposeTree, jit } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Executor } from '../src/executor.js';
import { compiledPrograms } from '../src/jit.js';
import { hasTestDevice, useTestDevice } from './device.js';

describe.skipIf(!hasTestDevice())('gelu in bf16 programs', () => {
  let executor: Executor;
  beforeAll(async () => {
    executor = await useTestDevice();
  });
  afterAll(() => executor.dispose());

  it('gelu rounds only its result', async () => {
    const identity = tf.ones<tf.Rank.R2>([1, 1]);
    const ofProduct = jit((x: tf.Tensor2D) => gelu(tf.matMul(x, identity)), { precision: 'bf16' });
    const x = tf.tensor2d([-3.015625, -2, -1.0078125, -0.1, 0.5, 2.984375], [6, 1]);
    const values = await ofProduct(x).data();
    // Of x in bf16 (−0.10009765625 for −0.1), in float64.
    const exact = [-0.00386678831, -0.0455002639, -0.15799702507, -0.0460582747, 0.34573123064, 2.98013482568];
    for (const [i, value] of values.entries()) expect(Math.abs(value / exact[i] - 1)).toBeLessThan(2 ** -8);
    disposeTree([identity, x]);

    // XLA may drop a rounding by itself; the program must not ask for one.
    const { text } = compiledPrograms().at(-1)!;
    const [, argument] = /chlo\.erf"?\(?\s*(%\w+)/.exec(text)!;
    const definition = text.split('\n').find((line) => line.trim().startsWith(`${argument} =`));
    expect(definition).toContain('stablehlo.multiply');
    expect(definition).not.toContain('bf16');
  });
});
