import { disposeTree, onCompile, replicate, jit as runtimeJit, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFakeExecutor, type FakeExecutor } from '../test/fake-executor.js';
import { describeGraph, jit } from './jit.js';
import { registerBackend } from './register.js';

let executor: FakeExecutor;

beforeAll(() => useBackend('cpu')); // its gradients serve every backend

beforeEach(async () => {
  executor = createFakeExecutor();
  registerBackend(executor);
  await tf.setBackend('xla');
});

const double = (x: tf.Tensor) => tf.mul(x, 2);

describe('describeGraph', () => {
  it('shows the operations behind a tensor, inside a traced function too', () => {
    let text = '';
    jit((x: tf.Tensor) => {
      const y = tf.tanh(tf.add(x, x));
      text = describeGraph(y);
      return y;
    })(tf.ones([2, 3]));
    const [, x] = /^(%\d+) = parameter: f32\[2, 3\]$/m.exec(text)!;
    const [, sum] = new RegExp(`^(%\\d+) = add\\(${x}, ${x}\\): f32\\[2, 3\\]$`, 'm').exec(text)!;
    expect(text.split('\n').at(-1)).toMatch(new RegExp(`^%\\d+ = tanh\\(${sum}\\): f32\\[2, 3\\]`));
  });
});

describe('jit', () => {
  it('compiles once for each shape and dtype', () => {
    const program = jit(double);
    for (const shape of [[2], [2], [3]]) program(tf.zeros(shape));
    expect(executor.modules).toHaveLength(2);
    program(tf.zeros([2], 'int32'));
    expect(executor.modules).toHaveLength(3);
  });

  it('reports the programs that it compiles, by their names', () => {
    const events: unknown[] = [];
    const end = onCompile(({ name, state }) => events.push([name, state]));
    executor.compile = ((compile) => (module, options) => {
      options.onBegin?.(false, 3);
      return compile(module, options);
    })(executor.compile);
    const program = jit(double);
    for (const shape of [[2], [2], [3]]) program(tf.zeros(shape));
    jit(double, { name: 'twice' })(tf.zeros([2]));
    end();
    jit(double)(tf.zeros([2]));
    const both = (name: string) => [
      [name, 'begun'],
      [name, 'ready'],
    ];
    expect(events).toEqual([...both('double'), ...both('double'), ...both('twice')]);
  });

  it('compiles once for each value of a static argument, and of a plain value in a tree', () => {
    const scale = vi.fn((x: tf.Tensor, factor: number, { shift }: { shift: number }) =>
      tf.add(tf.mul(x, factor), shift),
    );
    const program = jit(scale, { static: [1] });
    for (const [factor, shift] of [
      [2, 0],
      [2, 0],
      [3, 0],
      [3, 1],
      [Number.NaN, 1],
    ]) {
      program(tf.zeros([2]), factor, { shift });
    }
    expect(scale).toHaveBeenCalledTimes(4);
  });

  it('takes and returns trees, plain values included', () => {
    const program = jit((tree: { a: tf.Tensor; list: tf.Tensor[] }) => ({
      sum: tf.add(tree.a, tree.list[0]),
      rest: [tree.list[1], 'label'],
    }));
    const result = program({ a: tf.zeros([2]), list: [tf.zeros([2]), tf.zeros([3])] });
    expect(result.sum.shape).toEqual([2]);
    expect((result.rest[0] as tf.Tensor).shape).toEqual([3]);
    expect(result.rest[1]).toBe('label');
  });

  it('leaves nothing behind but its results', () => {
    const x = tf.zeros([4]);
    const program = jit((value: tf.Tensor) => tf.sum(tf.softmax(value)));
    program(x).dispose();
    const tensors = tf.memory().numTensors;
    const buffers = executor.liveBuffers();
    for (let i = 0; i < 5; i++) program(x).dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    expect(executor.liveBuffers()).toBe(buffers);
  });

  it('names the line that reads a tensor inside', () => {
    const program = jit((x: tf.Tensor) => tf.mul(x, x.dataSync()[0]));
    expect(() => program(tf.zeros([2]))).toThrow(/must not be read inside a traced function.*jit\.test\.ts:\d+/);
    const tensors = tf.memory().numTensors;
    expect(() => program(tf.zeros([2]).clone())).toThrow('must not be read');
    expect(tf.memory().numTensors).toBe(tensors + 2);
    expect(jit(double)(tf.zeros([2])).shape).toEqual([2]);
  });

  it('reports a traced tensor that is used after its trace', () => {
    let leaked: tf.Tensor | undefined;
    jit((x: tf.Tensor) => {
      leaked = tf.keep(tf.neg(x));
      return x;
    })(tf.zeros([2]));
    expect(() => double(leaked!)).toThrow('after the trace ended');
  });

  it('warns when it bakes many numbers of the host into the program', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    jit((x: tf.Tensor) => tf.add(x, tf.tensor1d(Float32Array.from({ length: 70_000 }, (_, i) => i))))(
      tf.zeros([70_000]),
    );
    expect(warn.mock.calls[0][0]).toMatch(/70000 numbers from the host become part of the program.*jit\.test\.ts/);
    warn.mockClear();
    jit((x: tf.Tensor) => tf.add(x, tf.ones([70_000])))(tf.zeros([70_000]));
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('makes tensors from outside inputs of the program', () => {
    const weight = tf.tensor1d([1, 2]);
    const program = jit((x: tf.Tensor) => tf.mul(x, weight));
    program(tf.zeros([2]));
    expect(executor.modules[0]).toMatch(/@main\(%arg0: tensor<2xf32>, %arg1: tensor<2xf32>\)/);
  });
});

describe('donation', () => {
  const update = (state: { a: tf.Tensor; b: tf.Tensor }, x: tf.Tensor) => ({
    b: tf.add(state.b, x),
    a: tf.add(state.a, x),
  });

  it('consumes the argument and gives each result the memory of the argument with the same path', () => {
    const program = jit(update, { donate: [0] });
    const state = { a: tf.tensor1d([1, 2]), b: tf.tensor1d([3, 4]) };
    const next = program(state, tf.tensor1d([5, 6]));
    expect(state.a.isDisposed && state.b.isDisposed).toBe(true);
    const [signature] = /@main\(([^)]*)\)/.exec(executor.modules[0])!.slice(1);
    const aliases = [...signature.matchAll(/aliasing_output = (\d)/g)].map((match) => Number(match[1]));
    expect(aliases).toEqual([1, 0]);
    program(next, tf.tensor1d([5, 6]));
    expect(executor.modules).toHaveLength(1);
  });

  it('gives a result the memory of an argument that nothing reads', () => {
    const program = jit((state: { old: tf.Tensor }, x: tf.Tensor) => ({ ...state, old: tf.neg(x) }), { donate: [0] });
    const state = { old: tf.tensor1d([1, 2]) };
    program(state, tf.tensor1d([5, 6]));
    expect(state.old.isDisposed).toBe(true);
    expect(executor.modules[0]).toMatch(
      /@main\(%arg0: tensor<2xf32> {tf.aliasing_output = 0[^}]*}, %arg1: tensor<2xf32>\)/,
    );
  });

  it('copies memory that another tensor shares', () => {
    const program = jit(double, { donate: [0] });
    const x = tf.neg(tf.zeros([2]));
    const sharer = x.clone();
    program(x);
    expect(sharer.dataSync()).toHaveLength(2);
  });

  it('refuses one tensor in two places', () => {
    const x = tf.zeros([2]);
    expect(() => jit(update, { donate: [0] })({ a: x, b: x }, tf.zeros([2]))).toThrow('passed once');
  });
});

describe('prepare', () => {
  const settled = () => new Promise((resolve) => setTimeout(resolve));

  it('compiles programs of several shapes ahead, in the order of the calls, and runs nothing', async () => {
    const events: string[] = [];
    const end = onCompile(({ name, state, isAhead }) => void events.push(`${name} ${state} ${isAhead}`));
    const program = runtimeJit(double, { donate: [0] });
    const examples = [2, 3].map((size) => tf.zeros([size]));
    const before = tf.memory().numTensors;
    const both = examples.map((x) => program.prepare(x));
    expect(executor.pending.map(({ text }) => /tensor<(\d)xf32>/.exec(text)?.[1])).toEqual(['2', '3']);
    executor.pending[1].finish();
    await both[1];
    expect([examples[1].isDisposed, executor.executions(), tf.memory().numTensors]).toEqual([false, 0, before]);
    program(examples[1]).dispose();
    executor.pending[0].finish();
    await both[0];
    await program.prepare(tf.zeros([3])); // ready already
    end();
    expect(executor.modules).toHaveLength(2);
    expect(events).toEqual([...Array(2).fill('double begun true'), ...Array(2).fill('double ready true')]);
  });

  it('a call that comes earlier waits for its own program', async () => {
    const program = runtimeJit(double);
    const [first, second] = [2, 3].map((size) => program.prepare(tf.zeros([size])));
    expect(program(tf.zeros([3])).shape).toEqual([3]);
    await second;
    expect(executor.pending).toHaveLength(1);
    executor.pending[0].finish();
    await first;
    expect(executor.modules).toHaveLength(2);
  });

  it('a program that fails or is cancelled is compiled again by the next call', async () => {
    const failed = vi.fn();
    const end = onCompile(({ state }) => state === 'failed' && failed());
    const program = runtimeJit(double);
    const [broken, sound, cancelled] = [2, 3, 4].map((size) => program.prepare(tf.zeros([size])));
    executor.pending[0].finish(new Error('no such kernel'));
    await expect(broken).rejects.toThrow('no such kernel');
    executor.pending[0].finish();
    await sound;
    program.cancel();
    await expect(cancelled).rejects.toMatchObject({ name: 'AbortError' });
    await settled();
    end();
    expect(failed).toHaveBeenCalledTimes(2);
    for (const size of [2, 3, 4]) expect(program(tf.zeros([size])).shape).toEqual([size]);
    expect(executor.modules).toHaveLength(5);
  });

  it('compiles on this thread where the executor has no other', async () => {
    executor.startCompiling = undefined;
    const program = runtimeJit(double);
    await program.prepare(tf.zeros([2]));
    program(tf.zeros([2]));
    expect(executor.modules).toHaveLength(1);
  });

  it('does nothing on a backend that compiles nothing', async () => {
    await tf.setBackend('cpu');
    const traced = vi.fn(double);
    await runtimeJit(traced).prepare(tf.zeros([2]));
    expect(traced).not.toHaveBeenCalled();
  });
});

describe('replicas', () => {
  const add = (state: { a: tf.Tensor }, x: tf.Tensor) => ({ a: tf.add(state.a, x) });
  const long = (start: number) => tf.tensor1d(Float32Array.from({ length: 2000 }, (_, i) => start + i));
  const onTwo = () => runtimeJit(add, { donate: [0], replicas: 2 });

  it('a state stays on its device, and new values come straight from the host', () => {
    const program = onTwo();
    const first = { a: long(0) };
    let states: { a: tf.Tensor }[] = replicate(first, 2);
    disposeTree(first);
    const before = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) {
      executor.takeUploads();
      const x = [long(1), long(2)];
      const next = program(states, x);
      // The state's own copies go up at the first call: device 1's did when it was replicated.
      expect(executor.takeUploads()).toEqual(i === 0 ? [0, 0, 1] : [0, 1]);
      expect(states.every(({ a }) => a.isDisposed)).toBe(true);
      states = next;
      disposeTree(x);
    }
    expect(executor.downloads()).toBe(0);
    expect(executor.executions()).toBe(3);
    expect(executor.liveBuffers()).toBe(2);
    expect(tf.memory().numTensors).toBe(before);
    expect(executor.modules[0]).toContain('mhlo.num_replicas = 2');
    disposeTree(states);
    expect(executor.liveBuffers()).toBe(0);
  });

  it('each device gets a shared small tensor from the host', () => {
    const state = { a: tf.tensor1d([1, 2]) };
    const states = replicate(state, 2);
    disposeTree(state);
    const rate = tf.tensor1d([3, 4]);
    executor.takeUploads();
    const results = onTwo()(states, [rate, rate]);
    expect(executor.takeUploads()).toEqual([0, 0, 1]);
    expect([executor.downloads(), executor.liveBuffers()]).toEqual([0, 3]);
    disposeTree([results, rate]);
    expect(executor.liveBuffers()).toBe(0);
  });

  it('values of another device, and memory that another tensor shares, are copied', () => {
    const [here, there] = replicate({ a: long(0) }, 2);
    const kept = there.a.clone();
    const [second, first] = onTwo()([there, here], [long(1), long(2)]);
    expect(kept.dataSync()).toHaveLength(2000);
    const sum = tf.add(tf.add(first.a, second.a), kept);
    expect(sum.dataSync()).toHaveLength(2000);
  });

  it('there cannot be more replicas than devices', () => {
    const three = [tf.zeros([2]), tf.zeros([2]), tf.zeros([2])];
    const message = 'replicas must be from 1 to the number of devices of backend xla (2), got 3';
    expect(() => runtimeJit(double, { replicas: 3 })(three)).toThrow(`jit: ${message}`);
    expect(() => replicate(three[0], 3)).toThrow(`replicate: ${message}`);
    expect(() => jit(double, { replicas: 2 })(three as never)).toThrow('argument 0 must be an array of 2 trees');
  });
});

describe('lazy operations', () => {
  it('operations run together when a value is read', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const y = tf.exp(tf.mul(tf.add(x, x), x));
    expect(executor.executions()).toBe(0);
    y.dataSync();
    expect(executor.executions()).toBe(1);
    y.dataSync();
    expect(executor.executions()).toBe(1);
  });

  it('disposed tensors free their memory, in any order', () => {
    const x = tf.tensor1d([1, 2, 3]);
    const y = tf.exp(x);
    x.dispose();
    const z = tf.neg(y);
    y.dispose();
    z.dataSync();
    z.dispose();
    expect(executor.liveBuffers()).toBe(0);
  });

  it('an error names a missing kernel, and how to add it', () => {
    expect(() => tf.spectral.fft(tf.complex([1], [0]))).toThrow(/kernel Complex is missing; add it with defineKernel/);
  });
});
