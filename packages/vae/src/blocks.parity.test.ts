import { applyDownsample, applyGroupNorm, applyUpsample } from '@tb/nn';
import { type Tree, unflattenTree, useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { channelsFirst, tensorOf } from '../test/golden.js';
import { applyAttentionBlock, applyResidualBlock } from './blocks.js';

beforeAll(() => useBackend(testBackend));

const { blocks, config } = goldenJson('vae', 'config.json');
const groups: number = config.norm_num_groups;

// biome-ignore lint/suspicious/noExplicitAny: each block's parameters have another type.
const apply: Record<string, (params: any, x: tf.Tensor4D) => tf.Tensor4D> = {
  resnet: (params, x) => applyResidualBlock(params, x, groups),
  attn: (params, x) => applyAttentionBlock(params, x, groups),
  downsample: applyDownsample,
  upsample: applyUpsample,
  normalize: (params, x) => applyGroupNorm(params, x, { groups }),
};

describe('a block alone gives the reference’s output', () => {
  it.each(Object.keys(blocks))('%s', async (name) => {
    const golden = await goldenTensors('vae', 'blocks.safetensors');
    tf.tidy(() => {
      const prefix = `${name}.params.`;
      const weights = Object.entries(golden).filter(([key]) => key.startsWith(prefix));
      const params: Tree<tf.Tensor> = unflattenTree(
        Object.fromEntries(
          weights.map(([key, { data, shape }]) => [key.slice(prefix.length), tf.tensor(data as Float32Array, shape)]),
        ),
      );
      const x = tensorOf<tf.Tensor4D>(golden[`${name}.input`]);
      const before = tf.memory().numTensors;
      const output = apply[name.split('_')[0]](params, x);
      expect(tf.memory().numTensors).toBe(before + 1);
      expectClose(channelsFirst(output), golden[`${name}.output`].data as Float32Array, 1e-4);
    });
  });
});
