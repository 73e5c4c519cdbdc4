// Fits a matrix with AdamW: one compiled training step, called again and again.
import { randomKey, useBackend } from '@tb/runtime';
import { createTrainStep, defaultAdamW, initTrainState } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';

await useBackend('wasm');
const step = createTrainStep(
  (params, _frozen, batch) => {
    const { weight } = params as { weight: tf.Tensor };
    const { x, y } = batch as { x: tf.Tensor; y: tf.Tensor };
    return { loss: tf.mean(tf.squaredDifference(tf.matMul(x, weight), y)) as tf.Scalar };
  },
  { adamw: defaultAdamW, clipNorm: 1, emaRate: 0.99 },
);
let state = initTrainState({ weight: tf.zeros([2, 1]) });
const x = tf.tensor2d([
  [1, 0],
  [0, 1],
]);
const batch = { x, y: tf.tensor2d([[2], [3]]) };
for (let i = 0; i < 200; i++) {
  const inputs = { learningRate: tf.scalar(0.1), step: tf.scalar(i, 'int32'), runKey: randomKey(0) };
  const result = step(state, {}, batch, inputs); // the old state is consumed
  state = result.state;
  if (i % 50 === 49) console.log(`step ${i + 1}: loss ${(await result.metrics.loss.data())[0].toFixed(4)}`);
}
