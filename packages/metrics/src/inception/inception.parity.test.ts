import { useBackend } from '@tb/runtime';
import { expectClose, formulaWeights, goldenJson, goldenTensors, testBackend, toNumbers } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { type InceptionFeatures, inceptionFeatures } from './network.js';
import { prepareForInception } from './preprocess.js';
import { type InceptionWeights, inceptionWeights } from './weights.js';

type Tensors = Awaited<ReturnType<typeof goldenTensors>>;
const recipe = goldenJson('inception', 'weights.json');

describe('Inception-v3 against the reference port', () => {
  let weights: InceptionWeights;
  let images: Tensors;
  let expected: Tensors;
  beforeAll(async () => {
    await useBackend(testBackend);
    weights = inceptionWeights(formulaWeights(recipe));
    images = await goldenTensors('inception', 'images.safetensors');
    expected = await goldenTensors('inception', 'expected.safetensors');
  });

  const names = Object.keys(goldenJson('inception', 'expected.json').images);
  const load = (name: string) => {
    const { data, shape } = images[name];
    return tf.tidy(() =>
      tf.transpose(
        tf.tensor4d(Float32Array.from(data as Uint8Array), shape as [number, number, number, number]),
        [0, 2, 3, 1],
      ),
    );
  };

  it.each(names)('gives the features of torch-fidelity for %s', (name) => {
    const before = tf.memory().numTensors;
    tf.tidy(() => {
      const features = inceptionFeatures(weights, prepareForInception(load(name)));
      for (const tap of ['64', '192', '768', '2048'] as const) {
        expectClose(features[tap].dataSync(), toNumbers(expected[`${name}.torch_fidelity.${tap}`]), 1e-4, tap);
      }
      const logits = toNumbers(expected[`${name}.torch_fidelity.logits_unbiased`]);
      expectClose(features.logitsUnbiased.dataSync(), logits, 1e-4, 'logits');
      expect(features.spatial.shape).toEqual([features['64'].shape[0], 2023]);
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each(names)('gives the features of pytorch-fid for %s', (name) => {
    const features = tf.tidy(() => {
      const { '2048': pooled }: InceptionFeatures = inceptionFeatures(
        weights,
        prepareForInception(load(name), 'pytorch-fid'),
      );
      return pooled;
    });
    expectClose(features.dataSync(), toNumbers(expected[`${name}.pytorch_fid.2048`]), 1e-4);
    features.dispose();
  });

  it.each([
    ['tensorflow', 'resized_tf1', 128],
    ['pytorch-fid', 'resized_half_pixel', 127.5],
  ] as const)('resizes as %s does', (how, tag, half) => {
    const resizedNames = names.filter((name) => `${name}.${tag}.every_13th_pixel` in expected);
    expect(resizedNames.length).toBeGreaterThan(0);
    for (const name of resizedNames) {
      const reference = expected[`${name}.${tag}.every_13th_pixel`];
      const resized = tf.tidy(() => {
        const prepared = prepareForInception(load(name), how);
        const bytes = tf.add(tf.mul(prepared, half), half);
        return tf.transpose(tf.stridedSlice(bytes, [0, 0, 0, 0], bytes.shape, [1, 13, 13, 1]), [0, 3, 1, 2]);
      });
      expect(resized.shape).toEqual(reference.shape);
      expectClose(resized.dataSync(), toNumbers(reference), 1e-4, name); // float32 source positions, rounded twice
      resized.dispose();
    }
  });

  it('keeps a few layers in memory, not the whole pass', async () => {
    const images = tf.zeros([2, 299, 299, 3]) as tf.Tensor4D;
    const before = tf.memory().numBytes;
    const { peakBytes } = await tf.profile(() => {
      tf.dispose(inceptionFeatures(weights, images));
    });
    images.dispose();
    expect((peakBytes - before) / 2).toBeLessThan(32 * 2 ** 20); // an image: 12 to 22 MiB; the whole pass is 150
  });

  it('lists every tensor that does not fit', () => {
    const tensors = formulaWeights(recipe);
    delete tensors['fc.bias'];
    tensors.extra = { dtype: 'F32', shape: [1], data: new Float32Array(1) };
    expect(() => inceptionWeights(tensors)).toThrow(
      /2 weights do not fit[\s\S]*missing fc\.bias[\s\S]*unexpected extra/,
    );
  });
});
