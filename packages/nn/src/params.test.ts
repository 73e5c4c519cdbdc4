import type { HostTensor } from '@tb/io';
import { disposeTree, flattenTree, randomKey, splitKey, type Tree, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Linear, linearParameters } from './linear.js';
import {
  countParameters,
  type Declaration,
  flattenShapes,
  initParameters,
  loadParameters,
  parameter,
  readParameters,
  shapesOf,
} from './params.js';

beforeAll(() => useBackend(testBackend));

type Network = { blocks: Linear[]; extra: Linear[]; mask_token: tf.Tensor };
const declared: Declaration<Network> = {
  blocks: [linearParameters(2, 3), linearParameters(3, 1)],
  extra: [],
  mask_token: parameter([1, 1, 2], 0.5),
};
const shapes = shapesOf<Network>(declared);

const host = (shape: number[], first = 0) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => first + index);
  return { dtype: 'F32' as const, shape, data };
};
const file = () => ({
  mask_token: host([1, 1, 2], 40),
  'blocks.1.weight': host([1, 3], 20),
  'blocks.1.bias': host([1], 30),
  'blocks.0.weight': host([3, 2], 0),
  'blocks.0.bias': host([3], 10),
});

describe('flattenShapes', () => {
  it('names every weight in the order of the tree', () => {
    expect({ ...flattenShapes(shapes) }).toEqual({
      'blocks.0.weight': [3, 2],
      'blocks.0.bias': [3],
      'blocks.1.weight': [1, 3],
      'blocks.1.bias': [1],
      mask_token: [1, 1, 2],
    });
  });
});

describe('countParameters', () => {
  it('counts tensors and shapes alike', () => {
    expect(countParameters(shapes)).toBe(15);
    expect(
      countParameters({
        blocks: [initParameters<Linear>(randomKey(0), linearParameters(2, 3))],
        mask: tf.zeros([1, 1, 2]),
      }),
    ).toBe(11);
    expect(countParameters({ a: tf.scalar(1), b: [] })).toBe(1);
  });
});

describe('loadParameters', () => {
  it('puts every weight in its place and leaves nothing else behind', () => {
    const before = tf.memory().numTensors;
    const params = loadParameters<Network>(shapes, file());
    expect(tf.memory().numTensors).toBe(before + 5);
    expect(params.extra).toEqual([]);
    expect(params.blocks[1].weight.arraySync()).toEqual([[20, 21, 22]]);
    expect(params.mask_token.arraySync()).toEqual([[[40, 41]]]);
    disposeTree(params);
  });

  it('turns other number types into float32', () => {
    const half = { dtype: 'F16' as const, shape: [1], data: Uint16Array.of(0x3e00) };
    const params = loadParameters<Network>(shapes, { ...file(), 'blocks.1.bias': half });
    expect(params.blocks[1].bias.dtype).toBe('float32');
    expect(Array.from(params.blocks[1].bias.dataSync())).toEqual([1.5]);
  });

  it('names weights that are not finite, and makes no tensor', () => {
    const before = tf.memory().numTensors;
    const tensors = Object.fromEntries(
      ['a', 'b', 'c', 'd'].map((name): [string, HostTensor] => [
        name,
        { dtype: 'F32', shape: [2], data: Float32Array.of(1, name === 'b' ? Number.NaN : Number.NEGATIVE_INFINITY) },
      ]),
    );
    const shapes = { a: [2], b: [2], c: [2], d: [2] };
    expect(() => loadParameters(shapes, tensors, 'x.pth')).toThrow(
      'loadParameters: 4 of 4 weights of x.pth hold NaN or infinite numbers (a, b, c, …): the training that wrote them had',
    );
    const half: HostTensor = { dtype: 'F16', shape: [2], data: Uint16Array.of(0x3c00, 0x7c00) }; // 1, infinity
    expect(() => loadParameters({ a: [2] }, { a: half })).toThrow('1 of 1 weights of the file hold NaN or infinite');
    expect(tf.memory().numTensors).toBe(before);
    const large: HostTensor = { dtype: 'F32', shape: [2], data: Float32Array.of(3.4e38, -3.4e38) };
    tf.dispose(loadParameters<{ a: tf.Tensor }>({ a: [2] }, { a: large }));
  });

  it('lists every missing, unexpected and wrongly shaped weight in one error, and makes no tensor', () => {
    const { 'blocks.1.bias': _, ...rest } = file();
    const wrong = { ...rest, 'blocks.0.weight': host([2, 3]), 'blocks.2.weight': host([4]) };
    const before = tf.memory().numTensors;
    expect(() => loadParameters<Network>(shapes, wrong, 'a.pth')).toThrow(
      [
        'loadParameters: 3 weights of a.pth do not fit the model:',
        '  wrong shape blocks.0.weight: must be [3, 2], got [2, 3]',
        '  missing blocks.1.bias [1]',
        '  unexpected blocks.2.weight [4]',
      ].join('\n'),
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  it('reports in one line that a file is of another network, or named with a prefix', () => {
    const prefixed = Object.fromEntries(Object.entries(file()).map(([name, tensor]) => [`module.${name}`, tensor]));
    expect(() => loadParameters<Network>(shapes, prefixed, 'a.pth')).toThrow(
      "loadParameters: a.pth has none of the model's 5 weights, such as blocks.0.weight, but 5 others, such as module.mask_token",
    );
  });

  it('does not flood the terminal with a model of another size', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`blocks.${i + 2}.bias`, host([1])]));
    const load = () => loadParameters<Network>(shapes, { ...file(), ...many });
    expect(load).toThrow(/100 weights do not fit the model:\n( {2}unexpected .*\n){30} {2}and 70 more$/);
  });

  it('does not take an inherited property for a weight', () => {
    expect(() => loadParameters<{ constructor: tf.Tensor }>({ constructor: [1] } as never, {})).toThrow(
      'missing constructor',
    );
  });
});

describe('readParameters', () => {
  it('gives what loadParameters read', async () => {
    const params = loadParameters<Network>(shapes, file());
    expect({ ...(await readParameters(params)) }).toEqual(file());
    expect((await readParameters(params, 'F16')).mask_token.data).toBeInstanceOf(Uint16Array);
    disposeTree(params);
  });
});

describe('initParameters', () => {
  /** A parameter whose first value is the key that it gets. */
  const drawn = () => parameter([2], (key) => tf.cast(key, 'float32'));

  it('makes drawn values from the key and constants as declared, and leaves nothing else behind', () => {
    const key = randomKey(1);
    const before = tf.memory().numTensors;
    const params = initParameters<Network>(key, declared);
    expect(tf.memory().numTensors).toBe(before + 5);
    expect(params.extra).toEqual([]);
    expect([...params.mask_token.dataSync()]).toEqual([0.5, 0.5]);
    const again = initParameters<Network>(key, declared);
    expect(params.blocks[1].weight.dataSync()).toEqual(again.blocks[1].weight.dataSync());
    disposeTree([key, params, again]);
  });

  // Same-seed runs and the golden values depend on this rule.
  it('splits the key among the children that draw, lists always, and hands it on to a single one', () => {
    const key = randomKey(3);
    const constant = parameter([1], 0);
    const [first, second, third] = splitKey(key, 3).map((each) => [...tf.cast(each, 'float32').dataSync()]);
    const values = (tree: object) =>
      Object.values(flattenTree<tf.Tensor>(tree as Tree<tf.Tensor>)).map((leaf) => [...leaf.dataSync()]);
    type Pair = { a: tf.Tensor; rest: tf.Tensor };
    expect(values(initParameters<Pair>(key, { a: drawn(), rest: constant }))[0]).toEqual([
      ...tf.cast(key, 'float32').dataSync(),
    ]);
    type Three = { a: tf.Tensor; none: tf.Tensor; list: tf.Tensor[]; b: tf.Tensor };
    const three = initParameters<Three>(key, { a: drawn(), none: constant, list: [], b: drawn() });
    expect(values(three)).toEqual([first, [0], third]);
    const [inner] = splitKey(splitKey(key, 2)[1], 1);
    const listed = initParameters<{ a: tf.Tensor; list: tf.Tensor[] }>(key, { a: drawn(), list: [drawn()] });
    expect(values(listed)[1]).toEqual([...tf.cast(inner, 'float32').dataSync()]);
    expect(second).not.toEqual(first);
  });
});
