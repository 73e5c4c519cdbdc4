// Samples the latents of two images, and how sure the model is of each position.

import { randomKey, useBackend } from '@tb/runtime';
import { generate, initTokenBridge, presets } from '@tb/tokenbridge';

await useBackend('wasm');
const config = presets.tiny;

const { tokens, latents, confidence } = await generate({
  params: initTokenBridge(randomKey(1), config), // untrained
  config,
  labels: [3, null],
  seeds: [1, 2],
  steps: 4,
  guidanceScale: 3,
  temperature: 0.97,
  order: 'random', // or 'raster', or 'confidence'
});
console.log('tokens', tokens.shape, 'least confident', Math.min(...confidence).toFixed(3));

// Latents of the autoencoder: decode(vae, vaeConfig, tf.div(latents, vaeConfig.latentScale)).
console.log('latents', latents.shape);
