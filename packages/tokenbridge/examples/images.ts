// Images of three classes in one PNG file. The weights are untrained here; for trained ones replace `model` and `vae`:
// const model = await loadTokenBridge('model.safetensors');
// const vaeConfig = await readVaeConfig('vae.safetensors');
// const vae = { params: await loadVae('vae.safetensors', vaeConfig), config: vaeConfig };

import { writeFile } from 'node:fs/promises';
import { encodePng, imageGrid, type Pixels } from '@tb/images';
import { randomKey, useBackend } from '@tb/runtime';
import { createImageGenerator, initTokenBridge, presets } from '@tb/tokenbridge';
import { demo, initVae } from '@tb/vae';

await useBackend('wasm');
const model = { params: initTokenBridge(randomKey(1), presets.tiny), config: presets.tiny };
const vae = { params: initVae(randomKey(2), demo), config: demo };

const generator = createImageGenerator({ model, vae, steps: 4, batchSize: 2 });
const images: Pixels[] = [];
const request = {
  labels: [3, 7, null], // two classes, and an image without one
  seeds: [1, 2, 3], // the same seed and label give the same image, in any batch
  onProgress: ({ known, positions }: { known: number; positions: number }) => console.log(`${known} of ${positions}`),
};
for await (const batch of generator.generate(request)) images.push(...batch.images);
generator.dispose();

await writeFile('images.png', await encodePng(imageGrid(images, { columns: 3 })));
console.log('images.png:', images.length, 'images of', images[0].width, 'pixels');
