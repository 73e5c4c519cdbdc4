// Makes what the jobs of jobs.ts read: an ImageNet-like folder, from the demo's photographs, and untrained weights. A separate
// program, so that its memory is free when the jobs run.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BackendChoice, hostRandom, randomKey, useBackend } from '@tb/runtime';
import { initTokenBridge, presets, saveTokenBridge } from '@tb/tokenbridge';
import { describeWeights } from '@tb/trainer';
import { demo, downsamplingFactor, initVae, kl16, saveVae } from '@tb/vae';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: 'jobs' },
    backend: { type: 'string', default: 'xla' },
    preset: { type: 'string', default: 'large' },
    images: { type: 'string', default: '4096' },
    classes: { type: 'string', default: '1000' },
    'image-size': { type: 'string', default: '256' },
  },
});
const { folder } = values;
const [images, classes, imageSize] = [values.images, values.classes, values['image-size']].map(Number);

/** JPEG files of about 500 × 375 pixels, as ImageNet's are: crops of the photographs, in folders of classes. */
async function makeImages(): Promise<void> {
  const sharp = createRequire(new URL('../packages/images/package.json', import.meta.url))('sharp');
  const photographs = fileURLToPath(new URL('../apps/train/demo/photos', import.meta.url));
  const files = readdirSync(photographs).filter((name) => /\.(png|jpe?g)$/.test(name));
  const random = hostRandom(1);
  for (let index = 0; index < images; index++) {
    const classFolder = join(folder, 'images', `class${String(index % classes).padStart(4, '0')}`);
    mkdirSync(classFolder, { recursive: true });
    const source = sharp(join(photographs, files[index % files.length]));
    const { width, height } = await source.metadata();
    const side = Math.floor(Math.min(width, height) * (0.5 + 0.5 * random.uniform()));
    const [left, top] = [width - side, height - side].map((room) => Math.floor(room * random.uniform()));
    const wide = index % 4 > 0;
    await source
      .extract({ left, top, width: side, height: side })
      .resize(wide ? 500 : 375, wide ? 375 : 500, { fit: 'fill' })
      .removeAlpha()
      .jpeg({ quality: 90 })
      .toFile(join(classFolder, `${index}.jpg`));
  }
}

/** The autoencoder and the model as tb-train would leave them, with the values that training begins with. */
async function makeWeights(): Promise<void> {
  const preset = presets[values.preset as keyof typeof presets];
  const vaeConfig = preset.latent.channels === kl16.latentChannels ? kl16 : demo;
  const key = randomKey(1);
  const vae = join(folder, 'vae.safetensors');
  await saveVae(vae, initVae(key, vaeConfig), vaeConfig, { metadata: describeWeights({ imageSize }) });
  const side = imageSize / downsamplingFactor(vaeConfig);
  const latent = { height: side, width: side, channels: vaeConfig.latentChannels };
  const config = { ...preset, latent, classes };
  const classNames = Array.from({ length: classes }, (_, index) => `class${String(index).padStart(4, '0')}`);
  const vaeSha256 = createHash('sha256').update(readFileSync(vae)).digest('hex');
  const metadata = describeWeights({ imageSize, classNames, vaeSha256 });
  await saveTokenBridge(
    join(folder, 'model.safetensors'),
    { params: initTokenBridge(key, config), config },
    { metadata },
  );
}

mkdirSync(folder, { recursive: true });
await makeImages();
await useBackend(values.backend as BackendChoice);
await makeWeights();
