import { randomKey, rematerialize, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import {
  type Attention,
  applyAttention,
  applyLayerNorm,
  applyMlp,
  attentionParameters,
  initParameters,
  type LayerNorm,
  layerNormParameters,
  type Mlp,
  mlpParameters,
  normal,
} from '../src/index.js';

beforeAll(() => useBackend(testBackend));

it('a block of layers has the same gradients when it is rematerialized', () => {
  const attention = initParameters<Attention>(randomKey(1), attentionParameters({ width: 8, heads: 2, qkNorm: true }));
  const mlp = initParameters<Mlp>(randomKey(2), mlpParameters(8, 16));
  const norm = initParameters<LayerNorm>(randomKey(0), layerNormParameters(8));
  const x = normal(randomKey(3), [2, 4, 8], 1) as tf.Tensor3D;
  const block = (input: tf.Tensor3D, weight: tf.Tensor) => {
    const attended = applyAttention(attention, applyLayerNorm(norm, input), { heads: 2, causal: true });
    return applyMlp({ ...mlp, fc1: { ...mlp.fc1, weight } }, tf.add(input, attended));
  };
  const gradients = (run: typeof block) =>
    tf.grads((input: tf.Tensor, weight: tf.Tensor) => run(run(input as tf.Tensor3D, weight) as tf.Tensor3D, weight))([
      x,
      mlp.fc1.weight,
    ]);
  const plain = gradients(block);
  const before = tf.memory().numTensors;
  const recomputed = gradients(rematerialize(block) as typeof block);
  expect(tf.memory().numTensors).toBe(before + 2);
  for (const [index, gradient] of recomputed.entries()) {
    expectClose(gradient.dataSync(), plain[index].dataSync(), 1e-6);
  }
});
