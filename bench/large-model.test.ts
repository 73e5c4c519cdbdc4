import { flattenTree, useBackend } from '@tb/runtime';
import { loss, presets, type TokenBridge, tokenBridgeShapes } from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { drawBatch, drawParameters, median, partsOf } from './large-model.js';

beforeAll(async () => {
  await useBackend('wasm');
});

const shapesOf = (params: TokenBridge) =>
  Object.fromEntries(Object.entries(flattenTree<tf.Tensor>(params as never)).map(([name, { shape }]) => [name, shape]));

describe('drawParameters', () => {
  it('draws every parameter of the model in its shape, and the model runs on them', async () => {
    const before = tf.memory().numTensors;
    const params = drawParameters(1, presets.tiny);
    const expected = flattenTree<number>(tokenBridgeShapes(presets.tiny) as never);
    const drawn = flattenTree<number>(shapesOf(params) as never);
    expect({ ...drawn }).toEqual({ ...expected });
    const batch = drawBatch(3, presets.tiny, 2);
    const value = loss(params, presets.tiny, batch);
    expect((await value.data())[0]).toBeGreaterThan(Math.log(presets.tiny.quantizer.levels) / 2);
    tf.dispose([params, batch, value] as unknown as tf.TensorContainer);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('drawBatch', () => {
  it('has the shapes of the mean mask ratio', () => {
    const batch = drawBatch(3, presets.large, 2);
    const masked = [...batch.masks.masked.dataSync()].filter((position) => position >= 0);
    expect(batch.latents.shape).toEqual([2, 16, 16, 16]);
    expect([batch.masks.masked.shape, batch.masks.visible.shape]).toEqual([
      [2, 224],
      [2, 48],
    ]);
    expect(masked.length).toBe(2 * 222);
    tf.dispose(batch as unknown as tf.TensorContainer);
  });
});

describe('median', () => {
  it('takes the middle value in order of size', () => expect(median([10, 9, 100])).toBe(10));
});

describe('partsOf', () => {
  it('refuses a part that there is not', () => {
    expect(partsOf('speed,compile', ['compile', 'speed'])).toEqual(['speed', 'compile']);
    expect(() => partsOf('sped', ['compile', 'speed'])).toThrow('--parts must be among compile,speed, got sped');
  });
});
