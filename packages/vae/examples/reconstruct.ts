// An image to a latent and back.

import { randomKey, splitKey, uniform, useBackend } from '@tb/runtime';
import { decode, demo, encode, initVae, klDivergence, sampleLatent } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';

await useBackend('wasm');
const [weightKey, imageKey, noiseKey] = splitKey(randomKey(1), 3);

// Untrained here. With weights: const vae = await loadVae('kl16.ckpt', kl16), and kl16 instead of demo below.
const vae = initVae(weightKey, demo);

const images = tf.sub(tf.mul(uniform(imageKey, [1, 64, 64, 3]), 2), 1) as tf.Tensor4D; // in [-1, 1]
const posterior = encode(vae, demo, images);
const latents = sampleLatent(posterior, noiseKey);
console.log('latents', latents.shape, 'divergence', klDivergence(posterior).shape);

// The quantizer reads latents of about unit variance; the decoder reads the autoencoder's units.
const scaled = tf.mul(latents, demo.latentScale);
const decoded = decode(vae, demo, tf.div(scaled, demo.latentScale));
console.log('images', tf.clipByValue(decoded, -1, 1).shape);
