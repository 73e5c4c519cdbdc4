// Samples latents of two images. Untrained weights here; with trained ones only the first lines differ:
// const model = await loadTokenBridge('checkpoint-last.pth', { ema: true });

import { randomKey, useBackend } from '@tb/runtime';
import { generate, initTokenBridge, presets } from '@tb/tokenbridge';

await useBackend('wasm');
const config = presets.tiny;
const model = { params: initTokenBridge(randomKey(1), config), config };

const { tokens, latents, confidence } = await generate({
  ...model,
  labels: [3, null], // a class, and an image without one
  seeds: [1, 2], // the same seed gives the same image, in any batch
  steps: 4,
  guidanceScale: 3,
  temperature: 0.97,
  order: 'random', // or 'raster', or 'confidence'
  onProgress: ({ known, positions }) => console.log(`${known} of ${positions} positions known`),
});
console.log('tokens', tokens.shape, 'least confident', Math.min(...confidence).toFixed(3));

// The autoencoder's latents: decode(vae, vaeConfig, tf.div(latents, vaeConfig.latentScale)).
console.log('latents', latents.shape);
