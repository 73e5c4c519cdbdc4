import { randomKey, useBackend } from '@tb/runtime';
import { testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { demo, type VaeConfig } from './config.js';
import { createAutoencoder, imagesToTensor, tensorToImages } from './programs.js';
import { decode, encode, initVae } from './vae.js';

beforeAll(() => useBackend(testBackend));

const config: VaeConfig = { ...demo, channels: 4, channelMultipliers: [1, 2], latentChannels: 2, normGroups: 2 };
const size = 8;
const bytes = Uint8Array.from({ length: 2 * size * size * 3 }, (_, index) => (index * 37) % 256);

describe('images as tensors', () => {
  it('survive the way to a tensor and back', async () => {
    const images = imagesToTensor(bytes, 2, size);
    expect(images.shape).toEqual([2, size, size, 3]);
    const [first, second] = await tensorToImages(images);
    expect([first.width, first.height]).toEqual([size, size]);
    expect([...first.data, ...second.data]).toEqual([...bytes]);
    images.dispose();
  });

  it('are clamped and rounded to the nearest byte', async () => {
    const images = tf.tensor4d([-1.2, 0, 1.2], [1, 1, 1, 3]);
    expect([...(await tensorToImages(images))[0].data]).toEqual([0, 128, 255]);
    images.dispose();
  });
});

describe('createAutoencoder', () => {
  it('computes what encode and decode do, and leaves no tensors behind', async () => {
    const params = initVae(randomKey(1), config);
    const expected = tf.tidy(() => {
      const { mean, logVariance } = encode(params, config, imagesToTensor(bytes, 2, size));
      return { mean: mean.arraySync(), moments: tf.concat([mean, logVariance], 3).dataSync() };
    });
    const before = tf.memory().numTensors;
    const autoencoder = createAutoencoder(config, size);
    const means = await autoencoder.encode(params, bytes);
    expect([...means]).toEqual(expected.mean.flat(3));
    expect(await autoencoder.encodeMoments(params, bytes)).toEqual(expected.moments);
    const mirrored = Uint8Array.from(bytes, (_, at) => {
      const [pixel, row] = [Math.floor(at / 3) % size, Math.floor(at / 3 / size)];
      return bytes[(row * size + size - 1 - pixel) * 3 + (at % 3)];
    });
    const [plain, ofMirrored] = [expected.moments, await autoencoder.encodeMoments(params, mirrored)];
    const half = plain.length / 2;
    const pairs = [0, half].flatMap((from) =>
      [plain, ofMirrored].flatMap((all) => [...all.subarray(from, from + half)]),
    );
    expect([...(await autoencoder.encodeMirrored(params, bytes))]).toEqual(pairs);
    const images = await autoencoder.decode(params, means, [2, 4, 4, 2]);
    expect(tf.memory().numTensors).toBe(before);
    const decoded = tf.tidy(() => decode(params, config, tf.tensor4d(means, [2, 4, 4, 2])));
    expect(images).toEqual(await tensorToImages(decoded));
    tf.dispose([params, decoded] as tf.TensorContainer);
  });

  it('leaves no tensors behind when the images do not fit', async () => {
    const params = initVae(randomKey(1), config);
    const before = tf.memory().numTensors;
    await expect(createAutoencoder(config, 7).encode(params, new Uint8Array(7 * 7 * 3))).rejects.toThrow('multiples');
    await expect(createAutoencoder(config, 8).decode(params, new Float32Array(48), [1, 4, 4, 3])).rejects.toThrow(
      'latents must be',
    );
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(params as tf.TensorContainer);
  });
});
