import '@tensorflow/tfjs-backend-cpu';
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { createQuantizer } from './index.js';
import { dequantize, quantize } from './tfjs.js';

setWasmPaths(dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')) + sep);

describe.each(['cpu', 'wasm'])('on %s', (backend) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it.each([
    { levels: 2 },
    { levels: 64 },
    { levels: 100, min: -4, max: 6 },
    { levels: 256, tails: 'unbounded' as const },
    { levels: 64, spacing: 'linear' as const },
    { levels: 1000 },
    { levels: 64, min: [-5, -4, -1], max: [5, 6, 2] },
  ])('gives the indices and values of the typed-array path: %j', async (options) => {
    const quantizer = createQuantizer(options);
    const thresholds = quantizer.float32Thresholds();
    const patterns = new Int32Array(thresholds.buffer);
    const neighbours = new Float32Array(patterns.map((pattern) => pattern - 1).buffer);
    const special = [Infinity, -Infinity, 0, -0, 1e-30, -1e-30, 3e38, -3e38, 5, -5];
    const numbers = [...thresholds, ...neighbours, ...special].flatMap((x) => Array(quantizer.channels).fill(x));
    const x = Float32Array.from(numbers);
    const before = tf.memory().numTensors;
    const tensor = tf.tensor2d(x, [x.length / quantizer.channels, quantizer.channels]);
    const indices = quantize(quantizer, tensor);
    const values = dequantize(quantizer, indices);
    const expected = quantizer.quantize(x);
    expect(indices.dtype).toBe('int32');
    expect(indices.shape).toEqual(tensor.shape);
    expect(await indices.data()).toEqual(Int32Array.from(expected));
    expect(await values.data()).toEqual(quantizer.dequantize(expected));
    tf.dispose([tensor, indices, values]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('keeps rank 0 and 4, and rejects a wrong last axis and arrays', () => {
    tf.tidy(() => {
      expect(quantize(createQuantizer(), tf.scalar(0)).shape).toEqual([]);
      expect(quantize(createQuantizer(), tf.zeros([2, 3, 4, 5])).shape).toEqual([2, 3, 4, 5]);
      const quantizer = createQuantizer({ min: [-5, -4], max: 5 });
      expect(() => quantize(quantizer, tf.zeros([2, 3]))).toThrow("quantizer's 2 channels, got shape [2,3]");
      expect(() => dequantize(quantizer, tf.zeros([3], 'int32'))).toThrow('got shape [3]');
      const values = new Float32Array(4) as unknown as tf.Tensor;
      expect(() => quantize(quantizer, values)).toThrow(
        "got a Float32Array; the quantizer's own quantize takes arrays",
      );
    });
  });
});
