import { testBackends } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { useBackend } from '../backends/use-backend.js';
import { oneProcess } from '../processes.js';
import { type BackendSupport, backendTraits, jit, registerBackendSupport } from './jit.js';
import { allReduceMean, replicate } from './replicas.js';

describe.each(testBackends)('jit on %s', (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test('takes and returns trees and leaves nothing behind', () => {
    const before = tf.memory().numTensors;
    const step = jit((params: { layers: tf.Tensor[] }, x: tf.Tensor) => {
      const outputs = params.layers.map((layer) => tf.square(tf.mul(layer, x)));
      return { outputs, sum: tf.addN(outputs) };
    });
    const params = { layers: [tf.scalar(2), tf.scalar(3)] };
    const x = tf.scalar(10);
    const { outputs, sum } = step(params, x);
    expect(sum.dataSync()[0]).toBe(1300);
    expect(outputs.map((output) => output.dataSync()[0])).toEqual([400, 900]);
    tf.dispose([params, x, outputs, sum]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('donated arguments are gone, the others stay', () => {
    const before = tf.memory().numTensors;
    const add = jit((state: { a: tf.Tensor; b: tf.Tensor }, x: tf.Tensor) => ({ a: tf.add(state.a, x), b: state.b }), {
      donate: [0],
    });
    const x = tf.scalar(1);
    let state: { a: tf.Tensor; b: tf.Tensor } = { a: tf.scalar(0), b: tf.scalar(5) };
    for (let i = 0; i < 10; i++) {
      const old = state;
      state = add(state, x);
      expect([old.a.isDisposed, old.b.isDisposed, x.isDisposed]).toEqual([true, true, false]);
    }
    expect([state.a.dataSync()[0], state.b.dataSync()[0]]).toEqual([10, 5]);
    expect(tf.memory().numTensors).toBe(before + 3);
    tf.dispose([state, x]);
  });

  test('an argument passed through becomes a separate tensor', () => {
    const x = tf.scalar(1);
    const y = jit((input: tf.Tensor) => input)(x);
    expect(y).not.toBe(x);
    x.dispose();
    expect(y.dataSync()[0]).toBe(1);
    y.dispose();
  });

  test('a tensor returned twice becomes two', () => {
    const x = tf.scalar(1);
    const { a, b } = jit((input: tf.Tensor) => {
      const sum = tf.add(input, 1);
      return { a: sum, b: sum };
    })(x);
    a.dispose();
    expect(b.dataSync()[0]).toBe(2);
    tf.dispose([x, b]);
  });

  test('computes gradients inside', () => {
    const gradient = jit((x: tf.Tensor) => tf.grad((input) => tf.sum(tf.square(input)))(x));
    const x = tf.tensor1d([1, 2, 3]);
    expect(Array.from(gradient(x).dataSync())).toEqual([2, 4, 6]);
  });

  test('runs on arrays of one where there is one device, and refuses more', () => {
    const before = tf.memory().numTensors;
    const add = jit(({ a }: { a: tf.Tensor }, x: tf.Tensor) => ({ a: allReduceMean(tf.add(a, x)) }), {
      donate: [0],
      replicas: 1,
    });
    const state = { a: tf.scalar(1) };
    const states = replicate(state, backendTraits().deviceCount);
    state.a.dispose();
    const x = tf.scalar(2);
    const [sum] = add(states, [x]);
    expect(sum.a.dataSync()[0]).toBe(3);
    expect(states[0].a.isDisposed).toBe(true);
    const message = `replicas must be from 1 to the number of devices of backend ${backend} (1), got 2`;
    expect(() => replicate(x, 2)).toThrow(`replicate: ${message}`);
    expect(() => jit((y: tf.Tensor) => y, { replicas: 2 })([x, x])).toThrow(`jit: ${message}`);
    tf.dispose([sum, x]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('refuses to donate one tensor twice', () => {
    const x = tf.scalar(1);
    const f = jit((a: tf.Tensor, b: tf.Tensor) => tf.add(a, b), { donate: [0] });
    expect(() => f(x, x)).toThrow(/a donated tensor must be passed once/);
    expect(() => jit((a: number) => tf.scalar(a), { donate: [0] })(3)).toThrow(/donated argument 0 must hold tensors/);
    x.dispose();
  });
});

test('a function is compiled once by the support that is registered for the backend', async () => {
  await useBackend('wasm');
  const compile = vi.fn(<F>(fn: F) => fn);
  const traits = {
    compilesPerShape: true,
    runsAhead: true,
    precisions: ['fp32'],
    deviceCount: 2,
    processes: oneProcess,
  } as const;
  registerBackendSupport('cpu', {
    compile: compile as BackendSupport['compile'],
    traits: () => traits,
    toDevice: (tree) => tree,
  });
  const f = jit((x: tf.Tensor) => tf.neg(x), { precision: 'fp32' });
  f(tf.scalar(1));
  expect(compile).not.toHaveBeenCalled();
  await useBackend('cpu');
  f(tf.scalar(1));
  f(tf.scalar(1));
  expect(compile).toHaveBeenCalledOnce();
  expect(compile.mock.calls[0]).toEqual([expect.any(Function), { precision: 'fp32' }]);
  expect(backendTraits()).toEqual(traits);
  expect(replicate(tf.scalar(3), 2)).toHaveLength(2);
});
