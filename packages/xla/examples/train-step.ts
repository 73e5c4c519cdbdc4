// Fits a matrix by gradient descent. The step, gradient included, is one compiled program on a GPU.
import { jit, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

const { name, reason } = await useBackend('auto'); // `xla` where there is an NVIDIA GPU; useBackend('xla') insists on it
console.log(`${name}: ${reason}`);

const step = jit(
  (weight: tf.Tensor, x: tf.Tensor, y: tf.Tensor) => {
    const loss = (w: tf.Tensor) => tf.mean(tf.squaredDifference(tf.matMul(x, w), y)) as tf.Scalar;
    const { value, grad } = tf.valueAndGrad(loss)(weight);
    return { weight: tf.sub(weight, tf.mul(grad, 0.1)), loss: value as tf.Tensor };
  },
  { donate: [0], precision: 'bf16' }, // the old weight's memory becomes the new one's
);

const x = tf.randomNormal([64, 4], 0, 1, 'float32', 1);
const y = tf.matMul(x, tf.ones([4, 2]));
let weight: tf.Tensor = tf.zeros([4, 2]);
for (let i = 0; i < 100; i++) {
  const result = step(weight, x, y); // compiled at the first call
  weight = result.weight;
  if (i % 50 === 49) console.log(`step ${i + 1}: loss ${result.loss.dataSync()[0].toFixed(4)}`);
  result.loss.dispose();
}
