import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testBackends } from '@tb/test-utils';
import { collectGarbage } from '@tb/test-utils/garbage';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { linkTensorflow, loadTensorflow, tensorflowDoctor } from '../src/backends/tensorflow/index.js';
import { dropoutMask, foldIn, jit, type Key, normal, randomKey, useBackend } from '../src/index.js';

// With `TB_TEST_BACKENDS=tensorflow` and a linked TensorFlow (`tb-train link-tensorflow`). The link itself is tested
// where TB_TENSORFLOW_PYTHON names a Python that has TensorFlow.

const isAsked = testBackends.includes('tensorflow');
const python = process.env.TB_TENSORFLOW_PYTHON;
if (!isAsked) console.warn('tensorflow: skipped, it is not among TB_TEST_BACKENDS');

type State = { weight: tf.Tensor2D; moment: tf.Tensor };

describe.skipIf(!isAsked)('the TensorFlow backend', () => {
  beforeAll(async () => {
    await useBackend('tensorflow');
  });

  test('reports what runs', async () => {
    const { reason } = await useBackend('tensorflow');
    expect(reason).toMatch(/^TensorFlow 2\.\d+\.\d+ on the (CPU|GPU)$/);
    expect((await tensorflowDoctor()).filter(({ ok }) => !ok)).toEqual([]);
  });

  test('fails instead of silently running on the CPU when a GPU was asked for', async () => {
    const { device } = await loadTensorflow();
    if (device === 'gpu') return;
    await expect(useBackend('tensorflow', { device: 'gpu' })).rejects.toThrow(/found no GPU it can use/);
  });

  test('memory is steady over 1,000 steps of training', { timeout: 120_000 }, async () => {
    const step = jit(
      ({ weight, moment }: State, x: tf.Tensor2D, key: Key, count: tf.Tensor) => {
        const mask = dropoutMask(foldIn(key, count), x.shape, 0.9);
        const loss = (w: tf.Tensor2D) => tf.mean(tf.square(tf.sub(tf.matMul(tf.mul(x, mask), w), x))) as tf.Scalar;
        const gradient = tf.grad(loss as never)(weight);
        const next = tf.add(tf.mul(moment, 0.9), gradient);
        return { weight: tf.sub(weight, tf.mul(next, 0.01)) as tf.Tensor2D, moment: next };
      },
      { donate: [0] },
    );
    const key = randomKey(1);
    const x = normal(key, [64, 256]) as tf.Tensor2D;
    let state: State = { weight: tf.zeros([256, 256]), moment: tf.zeros([256, 256]) };
    const memory: { tensors: number; resident: number }[] = [];
    for (let i = 0; i < 1000; i++) {
      const count = tf.scalar(i, 'int32');
      state = step(state, x, key, count);
      count.dispose();
      if (i % 200 < 199) continue;
      collectGarbage();
      memory.push({ tensors: tf.memory().numTensors, resident: process.memoryUsage().rss });
    }
    expect(new Set(memory.map(({ tensors }) => tensors)).size).toBe(1);
    // A leak of one 256 × 256 matrix a step would be 200 MB between the first and the last measurement.
    expect(memory.at(-1)!.resident - memory[0].resident).toBeLessThan(40e6);
    tf.dispose([key, x, state]);
  });
});

describe.skipIf(!isAsked || !python)('linkTensorflow', () => {
  test('builds in the cache folder, records the hash, and leaves node_modules alone', {
    timeout: 300_000,
  }, async () => {
    const cacheFolder = mkdtempSync(join(tmpdir(), 'tb-link-'));
    const record = await linkTensorflow({ python, cacheFolder });
    expect(record.addon.startsWith(cacheFolder)).toBe(true);
    expect(record.addonHash).toMatch(/^[0-9a-f]{64}$/);
    expect(existsSync(record.addon)).toBe(true);
    expect(existsSync(join(record.packageFolder, 'build'))).toBe(false);
    expect(readdirSync(join(cacheFolder, 'tensorflow'))).toContain('link.json');
    expect((await tensorflowDoctor({ cacheFolder })).map(({ name, ok }) => [name, ok])).toEqual([
      ['TensorFlow', true],
      ['link', true],
      ['addon', true],
    ]);
    rmSync(cacheFolder, { recursive: true });
  });
});
