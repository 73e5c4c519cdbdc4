// Trains nothing: computes the loss of some values, then samples values of positions by an untrained head.

import { type DiffusionHeadConfig, diffusionLoss, initDiffusionHead, sampleValues } from '@tb/diffusion-head';
import { normal, randomIntegers, randomKey, uniform, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

await useBackend('wasm');

const config: DiffusionHeadConfig = { channels: 16, featureWidth: 32, width: 64, depth: 3 };
const params = initDiffusionHead(randomKey(1), config);

// Six rows: six positions, or two positions with three timesteps each.
const { loss, squaredError, variationalBound } = diffusionLoss(params, {
  values: normal(randomKey(2), [6, 16]) as tf.Tensor2D,
  features: uniform(randomKey(3), [6, 32]) as tf.Tensor2D,
  timesteps: randomIntegers(randomKey(4), [6], 0, 1000) as tf.Tensor1D,
  noise: normal(randomKey(5), [6, 16]) as tf.Tensor2D,
});
console.log('loss', loss.shape, 'terms', squaredError.shape, variationalBound.shape);

// Two images, three positions of each. One key per image: its values do not depend on the other image.
const features = uniform(randomKey(6), [2, 3, 32]) as tf.Tensor3D;
const withoutLabel = uniform(randomKey(7), [2, 3, 32]) as tf.Tensor3D;
const keys = tf.stack([randomKey(10), randomKey(11)]);
const values = sampleValues(params, features, {
  keys,
  steps: 20,
  temperature: 0.98,
  guidance: { features: withoutLabel, scale: 3 },
});
console.log('values', values.shape);
