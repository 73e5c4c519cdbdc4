/**
 * Inception-v3 of the FID as one compiled program, against the features of its reference port: the numbers of
 * `@tb/metrics` on this backend are those that the other backends give.
 */
import { type InceptionWeights, inceptionFeatures, inceptionWeights, prepareForInception } from '@tb/metrics';
import { disposeTree, jit } from '@tb/runtime';
import { expectClose, formulaWeights, goldenJson, goldenTensors, toNumbers } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Executor } from '../src/executor.js';
import { compiledPrograms } from '../src/jit.js';
import { hasTestDevice, useTestDevice } from './device.js';

describe.skipIf(!hasTestDevice())('Inception-v3', () => {
  let executor: Executor;
  beforeAll(async () => {
    executor = await useTestDevice();
  });
  afterAll(() => executor.dispose());

  it('gives the features of torch-fidelity, resized inside the program', async () => {
    const weights = inceptionWeights(formulaWeights(goldenJson('inception', 'weights.json')));
    const { images_small } = await goldenTensors('inception', 'images.safetensors');
    const expected = await goldenTensors('inception', 'expected.safetensors');
    const bytes = tf.tensor(Float32Array.from(toNumbers(images_small)), images_small.shape);
    const images = tf.transpose(bytes, [0, 2, 3, 1]) as tf.Tensor4D;
    const extract = jit((own: InceptionWeights, x: tf.Tensor4D) => inceptionFeatures(own, prepareForInception(x)));
    const programs = compiledPrograms().length;
    const features = extract(weights, images);
    expect(compiledPrograms()).toHaveLength(programs + 1);
    for (const tap of ['64', '192', '768', '2048'] as const) {
      const golden = toNumbers(expected[`images_small.torch_fidelity.${tap}`]);
      expectClose(await features[tap].data(), golden, 1e-4, tap);
    }
    const logits = toNumbers(expected['images_small.torch_fidelity.logits_unbiased']);
    expectClose(await features.logitsUnbiased.data(), logits, 1e-4, 'logits');
    disposeTree([weights, features, bytes, images]);
  });
});
