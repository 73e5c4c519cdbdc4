import { disposeTree, hostRandom, mapTree, randomKey, useBackend } from '@tb/runtime';
import { initVae, kl16, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LoadedVae } from '../run-folder/load-weights.js';
import { withLatentScale } from './latent-scale.js';

const config: VaeConfig = {
  ...kl16,
  channels: 32,
  channelMultipliers: [1, 1],
  residualBlocks: 1,
  latentChannels: 4,
  bottleneckChannels: 4,
  encoderAttentionResolutions: [],
};
const size = 16;
const random = hostRandom(1);
const images = Array.from({ length: 3 }, () =>
  Uint8Array.from({ length: size * size * 3 }, () => Math.floor(256 * random.uniform())),
);
let vae: LoadedVae;

beforeAll(async () => {
  await useBackend('wasm');
  const params = initVae(randomKey(2), config);
  vae = { params, config, path: 'other\n.ckpt', sha256: '', prefix: '', statesScale: false };
});
afterAll(() => disposeTree(vae.params));

/** The same autoencoder with latents that are `factor` times as large. */
const stretched = (factor: number, value = vae): LoadedVae => {
  const { weight, bias } = value.params.quant_conv;
  const larger = mapTree((tensor: tf.Tensor) => tf.mul(tensor, factor), { weight, bias });
  return { ...value, params: { ...value.params, quant_conv: larger } as Vae };
};

const scaleOf = async (value: LoadedVae, scale?: number | 'auto') => {
  const before = tf.memory().numTensors;
  const { vae: scaled, line } = await withLatentScale(value, { scale, size, images: async () => images });
  expect(tf.memory().numTensors).toBe(before);
  return { scale: scaled.config.latentScale, line };
};

it('measures the scale where it is asked to', async () => {
  const one = await scaleOf(vae, 'auto');
  const twenty = await scaleOf(stretched(20), 'auto');
  expect(twenty.scale * 20).toBeCloseTo(one.scale, 5);
  expect(twenty.line).toMatch(
    /^autoencoder other\\n\.ckpt: latent scale [\d.e-]+, measured; 0\.0\d% of the latents are out/,
  );
  const used = await scaleOf(stretched(20), twenty.scale);
  expect(used).toEqual({ scale: twenty.scale, line: undefined });
});

it('warns with figures where the scale does not fit the latents', async () => {
  const { scale } = await scaleOf(vae, 'auto');
  const tooLarge = await scaleOf(stretched((20 * scale) / kl16.latentScale));
  expect(tooLarge.scale).toBe(kl16.latentScale);
  expect(tooLarge.line).toMatch(
    /times the latent scale 0\.2325 have a standard deviation of 20, not about 1, and \d\d\.\d\d% .* cut off\. --latent-scale auto/,
  );
  const tooSmall = await scaleOf(vae, scale / 10);
  expect(tooSmall.line).toMatch(
    /standard deviation of 0\.1, not about 1, and they need few of the quantization levels/,
  );
});

it('reads no images where the file states the scale, and nothing else is asked for', async () => {
  const own = { ...vae, statesScale: true };
  const fail = () => Promise.reject(new Error('no images'));
  expect(await withLatentScale(own, { size, images: fail })).toEqual({ vae: own });
  await expect(withLatentScale(own, { size, images: fail, scale: 'auto' })).rejects.toThrow('no images');
});

it('refuses latents that are not finite', async () => {
  await expect(scaleOf(stretched(Number.NaN), 'auto')).rejects.toThrow(
    'the latents of the autoencoder other\n.ckpt cannot be measured: latents must be finite',
  );
});
