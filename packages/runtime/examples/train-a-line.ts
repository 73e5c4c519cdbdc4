// Fits y = 3x − 1 by gradient descent: random numbers by key, one jitted step whose state goes in and comes out.
import { foldIn, jit, normal, randomKey, uniform, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

type Params = { slope: tf.Tensor; offset: tf.Tensor };

const { name, reason } = await useBackend('wasm');
console.log(`backend ${name}: ${reason}`);

const step = jit(
  (params: Params, key: tf.Tensor, count: tf.Tensor): Params => {
    const x = uniform(foldIn(key, count), [64]); // a fresh batch at every step, the same in every run
    const target = tf.sub(tf.mul(x, 3), 1);
    const loss = (slope: tf.Tensor, offset: tf.Tensor) =>
      tf.mean(tf.square(tf.sub(tf.add(tf.mul(x, slope), offset), target)));
    const [slope, offset] = tf.grads(loss)([params.slope, params.offset]);
    return {
      slope: tf.sub(params.slope, tf.mul(slope, 0.5)),
      offset: tf.sub(params.offset, tf.mul(offset, 0.5)),
    };
  },
  { donate: [0] }, // the old parameters are disposed by the call
);

const key = randomKey(7);
let params: Params = { slope: normal(key, []), offset: tf.scalar(0) };
for (let i = 0; i < 200; i++) params = tf.tidy(() => step(params, key, tf.scalar(i, 'int32')));
console.log(`y = ${params.slope.dataSync()[0].toFixed(3)} x + ${params.offset.dataSync()[0].toFixed(3)}`);
