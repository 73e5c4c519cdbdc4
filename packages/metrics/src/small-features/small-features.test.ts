import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileSha256, readSafetensors, withContentHash, writeSafetensors } from '@tb/io';
import { countParameters } from '@tb/nn';
import { disposeTree, flattenTree, hostRandom, randomKey, useBackend } from '@tb/runtime';
import { expectClose } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, createCollection } from '../evaluation/collect.js';
import { samplesInMemory } from '../samples/sample-source.js';
import { classAgreement, smallFeatureExtractor } from './extractor.js';
import { applySmallFeatures, initSmallFeatures, type SmallFeatures, smallFeatureShapes } from './network.js';
import { loadSmallFeatures, saveSmallFeatures } from './weights-file.js';

const config = { classes: 3, imageSize: 32, widths: [8, 16] };
const random = hostRandom(3);
const pixels = (count: number, size: number) =>
  Uint8Array.from({ length: count * size * size * 3 }, () => 256 * random.uniform());

describe('small features', () => {
  let folder: string;
  let params: SmallFeatures;
  beforeAll(async () => {
    await useBackend('wasm');
    folder = await mkdtemp(join(tmpdir(), 'tb-small-features-'));
    params = initSmallFeatures(randomKey(1), config);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('has the shapes it promises, and a gradient in every parameter', () => {
    const before = tf.memory().numTensors;
    expect(countParameters(params)).toBe(countParameters(smallFeatureShapes(config)));
    tf.tidy(() => {
      const images = tf.tensor4d(Float32Array.from(pixels(2, 32)), [2, 32, 32, 3]);
      const { features, logits } = applySmallFeatures(params, config, images);
      expect([features.shape, logits.shape]).toEqual([
        [2, 16],
        [2, 3],
      ]);
      const leaves = Object.values(flattenTree(params));
      const loss = () => tf.sum(tf.square(applySmallFeatures(params, config, images).logits)) as tf.Scalar;
      const { grads } = tf.engine().gradients(loss, leaves);
      for (const gradient of grads) expect(tf.max(tf.abs(gradient)).dataSync()[0]).toBeGreaterThan(0);
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('takes an image alone as in a batch, and other sizes by resizing', () => {
    tf.tidy(() => {
      const images = tf.tensor4d(Float32Array.from(pixels(3, 32)), [3, 32, 32, 3]);
      const whole = applySmallFeatures(params, config, images).features;
      const alone = applySmallFeatures(params, config, tf.slice(images, [1, 0, 0, 0], [1, 32, 32, 3])).features;
      expectClose(alone.dataSync(), tf.slice(whole, [1, 0], [1, 16]).dataSync(), 1e-5);
      const enlarged = tf.image.resizeNearestNeighbor(images, [64, 64]);
      expectClose(applySmallFeatures(params, config, enlarged).features.dataSync(), whole.dataSync(), 1e-4);
    });
  });

  it('comes back from its file, and extracts features under a name that is not FID', async () => {
    const path = join(folder, 'features.safetensors');
    await saveSmallFeatures(path, { params, config, classNames: ['a', 'b', 'c'] });
    const before = tf.memory().numTensors;
    const loaded = await loadSmallFeatures(path);
    expect(loaded).toMatchObject({ config, classNames: ['a', 'b', 'c'], hash: await fileSha256(path) });
    const extractor = smallFeatureExtractor(loaded);
    expect(extractor.distanceName).not.toMatch(/FID/);
    const source = samplesInMemory('noise', { pixels: pixels(5, 32), count: 5, height: 32, width: 32 });
    const { features } = await collect(source, extractor, createCollection(extractor, 5), { batchSize: 2 });
    const images = tf.tensor4d(Float32Array.from((await source.batches(5).next()).value!.pixels), [5, 32, 32, 3]);
    const direct = applySmallFeatures(params, config, images);
    expectClose(features, direct.features.dataSync(), 1e-5);
    tf.dispose([images, direct.features, direct.logits]);
    disposeTree(loaded.params);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('counts agreement with the asked classes', async () => {
    const images = pixels(4, 32);
    const tensor = tf.tensor4d(Float32Array.from(images), [4, 32, 32, 3]);
    const seen = tf.tidy(() => [...tf.argMax(applySmallFeatures(params, config, tensor).logits, 1).dataSync()]);
    tensor.dispose();
    const asked = [seen[0], seen[1], seen[2], (seen[3] + 1) % 3];
    const { overall, perClass } = await classAgreement({ params, config }, [{ images, labels: asked }], 32);
    expect(overall).toBe(0.75);
    expect(perClass[asked[3]]).toBeLessThan(1);
  });

  it('refuses what makes no network, and files of others', async () => {
    expect(() => smallFeatureShapes({ ...config, imageSize: 16 })).toThrow(/at least 32, got 16/);
    expect(() => smallFeatureShapes({ ...config, widths: [12] })).toThrow(/multiples of 8, got \[12\]/);
    expect(() => smallFeatureShapes({ ...config, classes: 1 })).toThrow(/at least 2, got 1/);
    const path = join(folder, 'other.safetensors');
    await writeSafetensors(path, {});
    await expect(loadSmallFeatures(path)).rejects.toThrow(/must hold a feature network/);
    const short = { images: new Uint8Array(3), labels: [0] };
    await expect(classAgreement({ params, config }, [short], 32)).rejects.toThrow(
      /a batch must hold 1 images of 32×32, got 3 bytes/,
    );
  });

  it('refuses a file in which a weight or a name has changed', async () => {
    const path = join(folder, 'changed.safetensors');
    await saveSmallFeatures(path, { params, config, classNames: ['a', 'b', 'c'] });
    const bytes = readFileSync(path);
    for (const place of [bytes.length - 1, bytes.indexOf('\\"b\\"') + 2]) {
      const changed = Uint8Array.from(bytes);
      changed[place] ^= 1;
      writeFileSync(path, changed);
      await expect(loadSmallFeatures(path)).rejects.toThrow(
        /changed\.safetensors: its content does not have the SHA-256/,
      );
    }
  });

  it.each([
    ['smallFeatures.config', 'null', /smallFeatures\.config: it must be an object, but is null/],
    ['smallFeatures.config', '{"classes": 3', /smallFeatures\.config: (ends|is not JSON)/],
    ['smallFeatures.config', JSON.stringify({ ...config, widths: 8 }), /smallFeatures\.config: widths must be a list/],
    [
      'smallFeatures.config',
      JSON.stringify({ ...config, imageSize: 8 }),
      /imageSize must be an integer of at least 32/,
    ],
    ['classNames', '["a", "b"]', /classNames: it must be 3 names, one per class, but is a list/],
    ['classNames', '[null, 1, "c"]', /classNames: \[0\] must be text, but is null/],
    ['classNames', '', /classNames: is empty, not JSON/],
  ])('names the file whose metadata %s is %j, and leaves no tensors', async (key, value, message) => {
    const path = join(folder, 'broken.safetensors');
    await saveSmallFeatures(path, { params, config, classNames: ['a', 'b', 'c'] });
    const { tensors, metadata } = await readSafetensors(path);
    await writeSafetensors(path, tensors, { metadata: withContentHash(tensors, { ...metadata, [key]: value }) });
    const before = tf.memory().numTensors;
    await expect(loadSmallFeatures(path)).rejects.toThrow(message);
    await expect(loadSmallFeatures(path)).rejects.toThrow(path);
    expect(tf.memory().numTensors).toBe(before);
  });
});
