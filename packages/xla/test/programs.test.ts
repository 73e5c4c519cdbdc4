/** Whole programs as compiled code: a training step, bf16, rematerialization, replicas, donation. */
import {
  allReduceMean,
  disposeTree,
  randomKey,
  rematerialize,
  replicate,
  jit as runtimeJit,
  useBackend,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Executor } from '../src/executor.js';
import { compiledPrograms, jit } from '../src/jit.js';
import { hasTestDevice, useTestDevice } from './device.js';
import { numbers } from './kernel-inputs.js';

// N = sequences, S = positions, D = width, H = heads, V = vocabulary

const [N, S, D, H, V] = [4, 6, 16, 2, 11];

type Model = Record<'embedding' | 'position' | 'scale' | 'qkv' | 'proj' | 'up' | 'upBias' | 'down' | 'head', tf.Tensor>;
type State = { params: Model; first: Model; second: Model; step: tf.Tensor };
type Result = { state: State; loss: tf.Tensor };

const mapModels = (fn: (...tensors: tf.Tensor[]) => tf.Tensor, ...models: Model[]): Model =>
  Object.fromEntries(
    (Object.keys(models[0]) as (keyof Model)[]).map((name) => [name, fn(...models.map((model) => model[name]))]),
  ) as Model;

function initModel(): Model {
  const draw = (shape: number[], seed: number) => numbers(shape, { seed, low: -0.2, high: 0.2 });
  return {
    embedding: draw([V, D], 1),
    position: draw([S, D], 2),
    scale: tf.ones([D]),
    qkv: draw([D, 3 * D], 3),
    proj: draw([D, D], 4),
    up: draw([D, 4 * D], 5),
    upBias: draw([4 * D], 6),
    down: draw([4 * D, D], 7),
    head: draw([D, V], 8),
  };
}

function normalize(x: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  const centered = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centered), -1, true);
  return tf.mul(tf.mul(centered, tf.rsqrt(tf.add(variance, 1e-6))), scale);
}

const linear = (x: tf.Tensor, weight: tf.Tensor): tf.Tensor =>
  tf.reshape(tf.matMul(tf.reshape(x, [-1, weight.shape[0]]), weight as tf.Tensor2D), [
    ...x.shape.slice(0, -1),
    weight.shape[1]!,
  ]);

function attend(x: tf.Tensor, { qkv, proj }: Model): tf.Tensor {
  const heads = tf.reshape(linear(x, qkv), [-1, S, 3, H, D / H]);
  const [query, key, value] = tf.unstack(tf.transpose(heads, [2, 0, 3, 1, 4]));
  const weights = tf.softmax(tf.mul(tf.matMul(query, key, false, true), (D / H) ** -0.5));
  return linear(tf.reshape(tf.transpose(tf.matMul(weights, value), [0, 2, 1, 3]), [-1, S, D]), proj);
}

function block(x: tf.Tensor, model: Model): tf.Tensor {
  const attended = tf.add(x, attend(normalize(x, model.scale), model));
  const hidden = tf.add(linear(normalize(attended, model.scale), model.up), model.upBias);
  const activated = tf.mul(hidden, tf.sigmoid(hidden));
  return tf.add(attended, linear(activated, model.down));
}

function lossOf(model: Model, tokens: tf.Tensor): tf.Scalar {
  const x = tf.add(tf.gather(model.embedding, tokens), model.position);
  const logProbabilities = tf.logSoftmax(linear(block(x, model), model.head));
  return tf.neg(tf.mean(tf.sum(tf.mul(tf.oneHot(tokens as tf.Tensor1D, V), logProbabilities), -1))) as tf.Scalar;
}

/** One AdamW step; loss and gradients are averaged over the devices that run it. */
function trainStep({ params, first, second, step }: State, tokens: tf.Tensor): Result {
  const names = Object.keys(params) as (keyof Model)[];
  const run = (...tensors: tf.Tensor[]) =>
    lossOf(Object.fromEntries(names.map((name, i) => [name, tensors[i]])) as Model, tokens);
  const { value, grads } = allReduceMean(tf.valueAndGrads(run)(names.map((name) => params[name])));
  const gradients = Object.fromEntries(names.map((name, i) => [name, grads[i]])) as Model;
  const next = tf.add(step, 1);
  const correction = (beta: number) => tf.sub(1, tf.pow(beta, next));
  const nextFirst = mapModels((m, g) => tf.add(tf.mul(m, 0.9), tf.mul(g, 0.1)), first, gradients);
  const nextSecond = mapModels((v, g) => tf.add(tf.mul(v, 0.95), tf.mul(tf.square(g), 0.05)), second, gradients);
  const updated = mapModels(
    (p, m, v) => {
      const direction = tf.div(tf.div(m, correction(0.9)), tf.add(tf.sqrt(tf.div(v, correction(0.95))), 1e-8));
      return tf.sub(tf.mul(p, 1 - 0.01 * 0.02), tf.mul(direction, 0.01));
    },
    params,
    nextFirst,
    nextSecond,
  );
  return { state: { params: updated, first: nextFirst, second: nextSecond, step: next }, loss: value };
}

const initState = (): State => {
  const params = initModel();
  return {
    params,
    first: mapModels(tf.zerosLike, params),
    second: mapModels(tf.zerosLike, params),
    step: tf.scalar(0),
  };
};

const drawTokens = () =>
  tf.tensor2d(
    Array.from({ length: N * S }, (_, i) => (i * 7) % V),
    [N, S],
    'int32',
  );

/** Losses of four steps, and the parameters after them. */
async function train(step: typeof trainStep): Promise<{ losses: number[]; params: Record<string, Float32Array> }> {
  let state = initState();
  const losses: number[] = [];
  for (let i = 0; i < 4; i++) {
    const result = step(state, drawTokens());
    state = result.state;
    losses.push((await result.loss.data())[0]);
  }
  const params: Record<string, Float32Array> = {};
  for (const [name, value] of Object.entries(state.params)) params[name] = (await value.data()) as Float32Array;
  return { losses, params };
}

describe.skipIf(!hasTestDevice())('compiled programs', () => {
  let executor: Executor;
  let expected: Awaited<ReturnType<typeof train>>;
  beforeAll(async () => {
    await useBackend('cpu');
    expected = await train(trainStep);
    executor = await useTestDevice();
  }, 120_000);
  afterAll(() => executor.dispose());

  it('a training step with donated state gives the numbers of the CPU backend', async () => {
    const { losses, params } = await train(jit(trainStep, { donate: [0] }));
    for (const [i, loss] of losses.entries()) expect(loss).toBeCloseTo(expected.losses[i], 4);
    for (const [name, values] of Object.entries(params)) {
      for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected.params[name][i], 3);
    }
    const { text } = compiledPrograms().at(-1)!;
    const state = 3 * Object.keys(params).length + 1;
    expect(text.match(/aliasing_output/g)).toHaveLength(state);
  });

  it('training in bf16 stays within 2% of the loss, with parameters and moments in float32', async () => {
    const { losses } = await train(jit(trainStep, { donate: [0], precision: 'bf16' }));
    for (const [i, loss] of losses.entries()) expect(Math.abs(loss / expected.losses[i] - 1)).toBeLessThan(0.02);
    const { text } = compiledPrograms().at(-1)!;
    const products = text.split('\n').filter((line) => line.includes('dot_general'));
    for (const line of products) expect(line).toMatch(/\(tensor<[^>]*bf16>, tensor<[^>]*bf16>\)/);
    expect(text.slice(text.indexOf(') -> ('), text.indexOf(') {'))).not.toContain('bf16');
  });

  it('a training step holds no large constants', () => {
    const { text } = compiledPrograms().at(-1)!;
    for (const line of text.split('\n').filter((each) => each.includes('stablehlo.constant'))) {
      expect(line).toMatch(/-> tensor<[a-z]+\d+>$/);
    }
  });

  it('rematerialization computes again behind a barrier what it does not keep', async () => {
    const inner = (x: tf.Tensor, w: tf.Tensor) =>
      tf.tanh(tf.matMul(tf.tanh(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)), w as tf.Tensor2D));
    const gradientOf = (fn: typeof inner) => (x: tf.Tensor, w: tf.Tensor) => {
      const { value, grads } = tf.valueAndGrads((a: tf.Tensor, b: tf.Tensor) => tf.sum(fn(a, b)) as tf.Scalar)([x, w]);
      return [value, ...grads];
    };
    const inputs = [numbers([3, 4]), numbers([4, 4], { seed: 2 })] as const;
    const plain = jit(gradientOf(inner))(...inputs);
    const saving = jit(gradientOf(rematerialize(inner)))(...inputs);
    const { text } = compiledPrograms().at(-1)!;
    expect(text).toContain('optimization_barrier');
    expect(text.match(/stablehlo\.tanh/g)).toHaveLength(4);
    for (const i of [0, 1, 2]) {
      const theirs = await plain[i].data();
      for (const [j, value] of (await saving[i].data()).entries()) expect(value).toBeCloseTo(theirs[j], 5);
    }
  });

  it('allReduceMean averages over devices with different values', async ({ skip }) => {
    if (executor.deviceCount < 2) skip('there is one device only');
    const step = runtimeJit((w: tf.Tensor, x: tf.Tensor) => ({ mean: allReduceMean(tf.mul(w, x)) }), { replicas: 2 });
    const w = replicate(tf.tensor1d([1, 2]), 2);
    const x = [tf.tensor1d([3, 5]), tf.tensor1d([1, 2])]; // goes from the host to the device that asks
    const results = step(w, x);
    for (const { mean } of results) expect([...(await mean.data())]).toEqual([2, 7]);
    disposeTree([w, x, results]);
  });

  it('training on two devices gives the numbers of one, with the state donated on each', async ({ skip }) => {
    if (executor.deviceCount < 2) skip('there is one device only');
    const onTwo = runtimeJit(trainStep, { donate: [0], replicas: 2 });
    let states = replicate(initState(), 2);
    for (let i = 0; i < 4; i++) {
      const results = onTwo(states, tf.split(drawTokens(), 2));
      states = results.map(({ state }) => state);
      for (const { loss } of results) expect((await loss.data())[0]).toBeCloseTo(expected.losses[i], 4);
    }
    const [ours, theirs] = states.map(({ params }) => params);
    for (const name of Object.keys(ours) as (keyof Model)[]) {
      expect(await ours[name].data()).toEqual(await theirs[name].data());
      for (const [i, value] of (await ours[name].data()).entries()) {
        expect(value).toBeCloseTo(expected.params[name][i], 3);
      }
    }
    const sum = tf.add(ours.scale, theirs.scale); // a value of another device in a program of the first
    expect((await sum.data())[0]).toBeCloseTo(2 * expected.params.scale[0], 3);
    disposeTree([states, sum]);
  });

  it('a result stays in bf16 if the next program reads it so', async () => {
    const project = jit((x: tf.Tensor, w: tf.Tensor) => tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), {
      precision: 'bf16',
    });
    const result = project(numbers([2, 3]), numbers([3, 2], { seed: 2 }));
    expect(compiledPrograms().at(-1)!.text).toMatch(/-> \(tensor<2x2xbf16>\)/);
    expect(result.dtype).toBe('float32');
    const exact = tf.matMul(numbers([2, 3]) as tf.Tensor2D, numbers([3, 2], { seed: 2 }) as tf.Tensor2D);
    const theirs = await exact.data();
    for (const [i, value] of (await result.data()).entries()) expect(Math.abs(value - theirs[i])).toBeLessThan(0.05);
    expect(randomKey(1).dtype).toBe('int32');
  });
});
