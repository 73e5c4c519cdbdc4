import '@tensorflow/tfjs-backend-cpu';
import { createQuantizer } from '@tb/quantizer';
import { dequantize, quantize } from '@tb/quantizer/tfjs';
import * as tf from '@tensorflow/tfjs-core';

const quantizer = createQuantizer();
const latents = tf.tensor([-7, -0.5, 0, 2.5]);
const indices = quantize(quantizer, latents); // int32, of the shape of latents
console.log('indices', indices.dataSync().join(' '));
console.log('codewords', Array.from(dequantize(quantizer, indices).dataSync(), (value) => value.toFixed(2)).join(' '));
