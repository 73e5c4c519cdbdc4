import { testBackends } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { jit } from '../../jit/jit.js';
import { rematerialize } from '../../operations/rematerialize.js';
import { dropoutMask, foldIn, type Key, randomKey, uniform } from '../../random/random.js';
import { useBackend } from '../use-backend.js';
import type { Binding, NodeBackend } from './node-backend.js';

const isAsked = testBackends.includes('tensorflow');
if (!isAsked) console.warn('recordings: skipped, tensorflow is not among TB_TEST_BACKENDS');

const valuesOf = (tensor: tf.Tensor) => Array.from(tensor.dataSync());

/** Counts the operations that run and the values that TensorFlow holds. */
function countingBinding(binding: Binding) {
  const counts = { operations: 0, handles: 0 };
  const executeOp: Binding['executeOp'] = (name, attributes, inputs, outputCount) => {
    const outputs = binding.executeOp(name, attributes, inputs, outputCount);
    counts.operations += 1;
    counts.handles += outputs.length;
    return outputs;
  };
  const createTensor: Binding['createTensor'] = (...args) => {
    counts.handles += 1;
    return binding.createTensor(...args);
  };
  const deleteTensor: Binding['deleteTensor'] = (handle) => {
    counts.handles -= 1;
    binding.deleteTensor(handle);
  };
  const counting: Binding = Object.create(binding, {
    executeOp: { value: executeOp },
    createTensor: { value: createTensor },
    deleteTensor: { value: deleteTensor },
  });
  return { counts, counting };
}

describe.skipIf(!isAsked)('jit by recordings', () => {
  let binding: Binding;
  let counts: { operations: number; handles: number };

  beforeAll(async () => {
    await useBackend('tensorflow');
  });

  beforeEach(() => {
    const backend = tf.backend() as NodeBackend;
    binding = backend.binding;
    const counted = countingBinding(binding);
    counts = counted.counts;
    backend.binding = counted.counting;
  });

  afterEach(() => {
    (tf.backend() as NodeBackend).binding = binding;
  });

  test('runs the function once for each shape, dtype, static argument and plain value', () => {
    const scale = vi.fn((x: tf.Tensor, factor: number, { shift }: { shift: number }) =>
      tf.add(tf.mul(x, factor), shift),
    );
    const program = jit(scale, { static: [1] });
    const calls: [tf.Tensor, number, number, number[]][] = [
      [tf.tensor1d([1, 2]), 2, 0, [2, 4]],
      [tf.tensor1d([3, 4]), 2, 0, [6, 8]],
      [tf.tensor1d([5, 6, 7]), 2, 0, [10, 12, 14]],
      [tf.tensor1d([1, 2], 'int32'), 2, 0, [2, 4]],
      [tf.tensor1d([1, 2]), 3, 0, [3, 6]],
      [tf.tensor1d([1, 2]), 3, 1, [4, 7]],
      [tf.tensor1d([7, 8]), 3, 1, [22, 25]],
    ];
    for (const [x, factor, shift, expected] of calls) {
      expect(valuesOf(program(x, factor, { shift }))).toEqual(expected);
    }
    expect(scale).toHaveBeenCalledTimes(5);
  });

  test('distinguishes arguments that were one tensor when it was recorded', () => {
    const subtract = jit((a: tf.Tensor, { b, c }: { b: tf.Tensor; c: tf.Tensor }) => tf.sub(tf.sub(a, b), c));
    const x = tf.tensor1d([1, 2]);
    expect(valuesOf(subtract(x, { b: x, c: x.clone() }))).toEqual([-1, -2]);
    expect(valuesOf(subtract(tf.tensor1d([9, 9]), { c: x, b: tf.tensor1d([3, 4]) }))).toEqual([5, 3]);
  });

  test('draws by the key of the call', () => {
    const draw = (key: Key, step: tf.Tensor) => {
      const own = foldIn(key, step);
      return [uniform(own, [8]), dropoutMask(foldIn(own, 1), [4, 4], 0.5)];
    };
    const program = jit(draw);
    for (const [seed, step] of [
      [1, 0],
      [1, 1],
      [2, 1],
    ]) {
      const [key, count] = [randomKey(seed), tf.scalar(step, 'int32')];
      expect(program(key, count).map(valuesOf)).toEqual(draw(key, count).map(valuesOf));
    }
  });

  test('computes gradients, custom gradients and rematerialization again', () => {
    const double = tf.customGrad((x) => ({ value: tf.mul(x as tf.Tensor, 2), gradFunc: (dy) => tf.mul(dy, 10) }));
    const block = rematerialize((x: tf.Tensor, w: tf.Tensor) => tf.tanh(tf.mul(double(x), w)));
    const gradients = (x: tf.Tensor, w: tf.Tensor) =>
      tf.grads((a, b) => tf.sum(tf.square(block(a, b))) as tf.Scalar)([x, w]);
    const program = jit(gradients);
    for (const start of [0.1, 0.2, 0.3]) {
      const [x, w] = [tf.tensor1d([start, 1]), tf.tensor1d([1, start])];
      expect(program(x, w).map(valuesOf)).toEqual(gradients(x, w).map(valuesOf));
    }
  });

  test('is part of the function that calls it, and of a gradient taken outside', () => {
    const square = vi.fn((x: tf.Tensor) => tf.square(x));
    const inner = jit(square);
    const outer = jit((x: tf.Tensor) => tf.add(inner(x), 1));
    expect(valuesOf(outer(tf.scalar(2)))).toEqual([5]);
    expect(valuesOf(outer(tf.scalar(3)))).toEqual([10]);
    expect(square).toHaveBeenCalledOnce();
    expect(valuesOf(tf.grad((x) => inner(x))(tf.scalar(3)))).toEqual([6]);
  });

  test('keeps what it used from outside as it was', () => {
    const weight = tf.tensor1d([1, 2]);
    const program = jit((x: tf.Tensor) => tf.mul(x, weight));
    program(tf.tensor1d([1, 1])).dispose();
    weight.dispose();
    expect(valuesOf(program(tf.tensor1d([3, 4])))).toEqual([3, 8]);
  });

  test('gives the caller every tensor of the result', () => {
    const program = jit(
      (state: { a: tf.Tensor; b: tf.Tensor }) => {
        const sum = tf.add(state.a, 1);
        return { a: sum, again: sum, flat: tf.reshape(sum, [2]), b: state.b, constant: tf.scalar(7), label: 'sum' };
      },
      { donate: [0] },
    );
    for (const start of [1, 5]) {
      const state = { a: tf.tensor1d([start, start]), b: tf.scalar(start) };
      const { label, ...tensors } = program(state);
      expect([state.a.isDisposed, state.b.isDisposed, label]).toEqual([true, true, 'sum']);
      const expected = [[start + 1, start + 1], [start + 1, start + 1], [start + 1, start + 1], [start], [7]];
      for (const [index, tensor] of Object.values(tensors).entries()) {
        expect(valuesOf(tensor)).toEqual(expected[index]);
        tensor.dispose();
      }
    }
  });

  test('leaves nothing behind, and runs no operation that the result does not need', () => {
    const program = jit((x: tf.Tensor) => {
      tf.exp(tf.exp(x));
      return tf.sum(tf.softmax(tf.reshape(tf.cast(tf.mul(x, 2), 'float32'), [4])));
    });
    const x = tf.tensor1d([1, 2, 3, 4]);
    program(x).dispose();
    const [tensors, { operations, handles }] = [tf.memory().numTensors, counts];
    for (let i = 0; i < 5; i++) program(x).dispose();
    expect(counts).toEqual({ operations: operations + 5 * 3, handles });
    expect(tf.memory().numTensors).toBe(tensors);
  });

  test('does not read inside, whoever holds the values', () => {
    const x = tf.tensor1d([1, 2]); // its values are still the host's
    const read = jit((value: tf.Tensor) => tf.mul(value, value.dataSync()[0]));
    const message = 'jit: a tensor must not be read inside a jitted function';
    expect(() => read(x)).toThrow(message);
    const [tensors, { handles }] = [tf.memory().numTensors, counts];
    expect(() => read(x)).toThrow(message);
    const donating = jit((value: tf.Tensor) => tf.mul(tf.mul(value, 3), tf.neg(value).dataSync()[0]), { donate: [0] });
    expect(() => donating(x)).toThrow(message);
    expect([tf.memory().numTensors, counts.handles, x.isDisposed]).toEqual([tensors, handles, false]);
    expect(valuesOf(jit((value: tf.Tensor) => tf.neg(value))(x))).toEqual([-1, -2]);
  });

  test('frees what it made when an operation fails', () => {
    const pick = jit((table: tf.Tensor, index: tf.Tensor) => tf.neg(tf.gather(tf.mul(table, 2), index as tf.Tensor1D)));
    const table = tf.tensor1d([1, 2, 3]);
    const [good, bad] = [tf.tensor1d([2], 'int32'), tf.tensor1d([7], 'int32')];
    expect(valuesOf(pick(table, good))).toEqual([-6]);
    expect(() => pick(table, bad)).toThrow('not in [0, 3)');
    const [tensors, { handles }] = [tf.memory().numTensors, counts];
    expect(() => pick(table, bad)).toThrow('not in [0, 3)');
    expect([tf.memory().numTensors, counts.handles]).toEqual([tensors, handles]);
  });
});
