// Fits a matrix with AdamW: one compiled training step, called again and again.
import { randomKey, useBackend } from '@tb/runtime';
import { createTrainStep, defaultAdamW, initTrainState } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';

await useBackend('wasm');
const step = createTrainStep(
  (params: { weight: tf.Tensor }, _, batch: { x: tf.Tensor; y: tf.Tensor }) => ({
    loss: tf.mean(tf.squaredDifference(tf.matMul(batch.x, params.weight), batch.y)) as tf.Scalar,
  }),
  { adamw: defaultAdamW, clipNorm: 1, emaRate: 0.99 },
);
let states = [initTrainState({ weight: tf.zeros([2, 1]) })]; // one for each device
const x = tf.tensor2d([
  [1, 0],
  [0, 1],
]);
const batch = { x, y: tf.tensor2d([[2], [3]]) };
for (let i = 0; i < 200; i++) {
  const inputs = { learningRate: tf.scalar(0.1), step: tf.scalar(i, 'int32'), runKey: randomKey(0) };
  const result = step(states, [{}], batch, inputs); // the old states are consumed
  states = result.states;
  if (i % 50 === 49) console.log(`step ${i + 1}: loss ${(await result.metrics.loss.data())[0].toFixed(4)}`);
}
