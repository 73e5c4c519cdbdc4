import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors } from '@tb/io';
import { countParameters, flattenShapes } from '@tb/nn';
import {
  disposeTree,
  flattenTree,
  hostRandom,
  jit,
  mapTree,
  normal,
  randomKey,
  treeLeaves,
  useBackend,
} from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goldenConfig } from '../test/golden-model.js';
import { loadTokenBridge, saveTokenBridge } from './files.js';
import { drawTrainingMasks, evaluate, loss } from './loss.js';
import type { LossInputs } from './masked-context.js';
import {
  assertTokenBridgeConfig,
  initTokenBridge,
  type TokenBridge,
  type TokenBridgeConfig,
  tokenBridgeShapes,
} from './model.js';
import { ConfigNeededError, configFromOfficial, configOfShapes } from './official.js';
import { presets } from './presets.js';
import { dequantize, quantize } from './quantization.js';

const config = goldenConfig();
let params: TokenBridge;
let folder: string;

beforeAll(async () => {
  await useBackend(testBackend);
  params = initTokenBridge(randomKey(1), config);
  folder = await mkdtemp(join(tmpdir(), 'tokenbridge-'));
});
afterAll(() => rm(folder, { recursive: true }));

function batch(config: TokenBridgeConfig, images: number, seed = 1): LossInputs {
  const { height, width, channels } = config.latent;
  return {
    latents: normal(randomKey(seed), [images, height, width, channels]) as tf.Tensor4D,
    labels: tf.zeros<tf.Rank.R1>([images], 'int32'),
    masks: drawTrainingMasks(hostRandom(seed), config, images),
  };
}

/** The loss of a new model before and after one step of gradient descent on all parameters. */
function lossAroundStep(config: TokenBridgeConfig): { before: number; after: number } {
  return tf.tidy(() => {
    const inputs = batch(config, 2);
    const model = initTokenBridge(randomKey(1), config);
    const withLeaves = (leaves: tf.Tensor[]) => {
      let next = 0;
      return mapTree(() => leaves[next++], model);
    };
    const lossOf = (...leaves: tf.Tensor[]) => loss(withLeaves(leaves), config, inputs);
    const { value, grads } = tf.valueAndGrads(lossOf)(treeLeaves(model));
    const stepped = treeLeaves(model).map((leaf, index) => tf.sub(leaf, tf.mul(grads[index], 0.05)));
    return { before: value.dataSync()[0], after: lossOf(...stepped).dataSync()[0] };
  });
}

describe('presets', () => {
  // The released large model has 486.9 M parameters, the paper's H 910 M; base and tiny follow from their sizes.
  it.each([
    ['tiny', 4_172_832],
    ['base', 252_706_304],
    ['large', 486_889_472],
    ['huge', 910_040_576],
  ] as const)('%s has %d parameters', (name, count) => {
    expect(countParameters(tokenBridgeShapes(presets[name]))).toBe(count);
  });
});

describe('the configuration from shapes', () => {
  const recognized = (config: TokenBridgeConfig) => configOfShapes(flattenShapes(tokenBridgeShapes(config)));

  it.each(['tiny', 'base', 'large', 'huge'] as const)('is the preset %s for its weights', (name) =>
    expect(recognized(presets[name])).toEqual(presets[name]),
  );

  it('recognizes custom classes, levels, latents and depths', () => {
    const { large } = presets;
    const custom: TokenBridgeConfig = {
      ...large,
      classes: 7,
      latent: { height: 32, width: 32, channels: 16 },
      quantizer: { ...large.quantizer, levels: 16 },
      backbone: { ...large.backbone, bufferSize: 8, decoder: { width: 768, depth: 3, heads: 12 } },
      head: { ...large.head, width: 96, depth: 2, heads: 6, mlpRatio: 2 },
    };
    expect(recognized(custom)).toEqual(custom);
  });

  it('names what the weights do not show', () => {
    expect(() => recognized(config)).toThrow('the weights do not show how many attention heads a backbone 32 wide has');
    const narrow = { ...presets.tiny, latent: { height: 4, width: 4, channels: 2 }, channelOrder: [1, 0] };
    expect(() => recognized(narrow)).toThrow('the weights do not show the order of 2 channels');
    expect(() => configOfShapes({})).toThrow(ConfigNeededError);
    expect(() => configOfShapes({ 'encoder.conv_in.weight': [128, 3, 3, 3] })).toThrow('loadVae of @tb/vae reads');
    expect(() => configOfShapes({ 'diffloss.net.cond_embed.weight': [1024, 768] })).toThrow(ConfigNeededError);
  });
});

describe('loss', () => {
  it('starts near ln B, the cross-entropy of a uniform guess', () => {
    const start = loss(params, config, batch(config, 4)).dataSync()[0];
    expect(Math.abs(start - Math.log(config.quantizer.levels))).toBeLessThan(0.6);
  });

  it('falls when followed downhill, within jit', () => {
    const inputs = batch(config, 4);
    const flat = flattenTree(params);
    const step = jit((bias: tf.Tensor, data: LossInputs) => {
      const { value, grad } = tf.valueAndGrad((x) => {
        const channelHeads = params.channel_heads.map((head, index) => (index === 0 ? { ...head, bias: x } : head));
        return loss({ ...params, channel_heads: channelHeads }, config, data, { dropoutKey: randomKey(1) });
      })(bias);
      return { value, bias: tf.sub(bias, grad) };
    });
    const before = tf.memory().numTensors;
    const first = step(flat['channel_heads.0.bias'], inputs);
    const second = step(first.bias, inputs);
    expect(second.value.dataSync()[0]).toBeLessThan(first.value.dataSync()[0]);
    disposeTree([first, second]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is what evaluate returns too, and for each group', () => {
    const inputs = batch(config, 3);
    const evaluation = evaluate(params, config, inputs);
    expect(evaluation.loss.dataSync()[0]).toBeCloseTo(loss(params, config, inputs).dataSync()[0], 5);
    expect(evaluation.lossByGroup.shape).toEqual([config.latent.channels]);
    expect(evaluation.accuracy.dataSync()[0]).toBeLessThan(0.5);
  });

  it('drops out by key', () => {
    const dropping = { ...config, training: { ...config.training, attentionDropout: 0.2, projectionDropout: 0.2 } };
    const inputs = batch(dropping, 2);
    const of = (seed?: number) =>
      loss(params, dropping, inputs, { dropoutKey: seed === undefined ? undefined : randomKey(seed) }).dataSync()[0];
    expect(of(1)).toBe(of(1));
    expect(new Set([of(1), of(2), of()]).size).toBe(3);
  });

  it('hides about the configured share of labels', () => {
    const hidden = drawTrainingMasks(hostRandom(5), config, 2000).unlabelled.dataSync<'float32'>();
    const share = hidden.reduce((sum, each) => sum + each, 0) / hidden.length;
    expect(Math.abs(share - config.training.labelDropout)).toBeLessThan(0.03);
  });

  it.each([1, 2, 4] as const)('starts near ln K and falls with a step downhill, in groups of %d', (groupSize) => {
    for (const kind of ['autoregressive', 'parallel'] as const) {
      const quantizer = { levels: 4, min: -5, max: 5, range: 3 };
      const grouped: TokenBridgeConfig = { ...config, quantizer, head: { ...config.head, kind, groupSize } };
      const { before, after } = lossAroundStep(grouped);
      expect(Math.abs(before - groupSize * Math.log(4))).toBeLessThan(0.7);
      expect(after).toBeLessThan(before - 0.01);
    }
  });

  it('falls with a step downhill in a model of one class', () => {
    const { before, after } = lossAroundStep({ ...config, classes: 1 });
    expect(after).toBeLessThan(before - 0.01);
  });

  it('names a latent grid that does not fit', () => {
    const inputs = { ...batch(config, 2), latents: tf.zeros<tf.Rank.R4>([2, 3, 4, 16]) };
    expect(() => loss(params, config, inputs)).toThrow('latents must be [2, 4, 4, 16], got [2, 3, 4, 16]');
  });
});

describe('quantization with the codebook of a checkpoint', () => {
  it('takes the nearest of its values', () => {
    const quantizer = { levels: 3, min: [-5, -1], max: [5, 1], range: 3, codebook: [-2, 0.5, 1] };
    const latents = tf.tensor2d([-5, -1, 1, 0.2, 5, 1, -0.9, 0.3], [4, 2]);
    const indices = quantize(quantizer, latents);
    expect([...indices.dataSync()]).toEqual([0, 0, 1, 1, 2, 2, 1, 2]);
    const values = [-2, 0.5, 1].map((gamma) => [((gamma + 3) / 6) * 10 - 5, ((gamma + 3) / 6) * 2 - 1]);
    const expected = [...indices.dataSync()].map((index, place) => values[index][place % 2]);
    expectClose(dequantize(quantizer, indices).dataSync(), expected, 1e-6);
  });
});

describe('configurations', () => {
  it('lists what is wrong', () => {
    const wrong: TokenBridgeConfig = {
      ...config,
      latent: { ...config.latent, height: 0 },
      channelOrder: [0, 1, 1],
      training: { ...config.training, labelDropout: 1 },
      quantizer: { ...config.quantizer, min: 6 },
    };
    expect(() => assertTokenBridgeConfig(wrong)).toThrow(
      /latent.height.*got 0; training.labelDropout must be in \[0, 1\), got 1; quantizer: .*min.*; channelOrder must hold each/,
    );
  });

  it('of official arguments refuses patches and missing numbers', () => {
    const { patch_size: _, ...rest } = officialArguments;
    expect(() => configFromOfficial(rest as never)).toThrow('patch_size');
    expect(() => configFromOfficial({ ...officialArguments, patch_size: 2 })).toThrow('patch_size must be 1');
    expect(configFromOfficial(officialArguments)).toEqual({ ...presets.large });
  });
});

// What the released training script passes for the large model.
const officialArguments = {
  img_size: 256,
  vae_stride: 16,
  patch_size: 1,
  encoder_embed_dim: 1024,
  encoder_depth: 16,
  encoder_num_heads: 16,
  decoder_embed_dim: 1024,
  decoder_depth: 16,
  decoder_num_heads: 16,
  channel_embed_dim: 1024,
  channel_depth: 4,
  channel_heads: 8,
  mlp_ratio: 4,
  quant_levels: 64,
  vae_embed_dim: 16,
  mask_ratio_min: 0.7,
  label_drop_prob: 0.1,
  class_num: 1000,
  attn_dropout: 0.1,
  proj_dropout: 0.1,
  buffer_size: 64,
  quant_min: -5,
  quant_max: 5,
  std_range: 3,
};

describe('files', () => {
  it('halve in half precision and bring their configuration', async () => {
    const path = join(folder, 'half.safetensors');
    await saveTokenBridge(path, { params, config }, { dtype: 'F16' });
    const { tensors } = await readSafetensors(path);
    expect(new Set(Object.values(tensors).map(({ dtype }) => dtype))).toEqual(new Set(['F16']));
    const loaded = await loadTokenBridge(path);
    expect(loaded.config).toEqual(config);
    expectClose(loaded.params.z_proj.weight.dataSync(), params.z_proj.weight.dataSync(), 1e-3);
  });

  it('are refused when a weight or their configuration has changed', async () => {
    const path = join(folder, 'changed.safetensors');
    await saveTokenBridge(path, { params, config });
    const bytes = await readFile(path);
    for (const place of [bytes.length - 1, bytes.indexOf('labelDropout') + 'labelDropout'.length + 5]) {
      const changed = Uint8Array.from(bytes);
      changed[place] ^= 1;
      await writeFile(path, changed);
      await expect(loadTokenBridge(path)).rejects.toThrow(
        /changed\.safetensors: its content does not have the SHA-256/,
      );
    }
  });

  it('that do not fit are refused with every reason', async () => {
    const path = join(folder, 'wrong.safetensors');
    await saveTokenBridge(path, { params, config });
    const { tensors } = await readSafetensors(path);
    await expect(loadTokenBridge(path, { ema: true })).rejects.toThrow('ema must be false for safetensors');

    const { 'z_proj.bias': bias, ...others } = tensors;
    await writeSafetensors(path, { ...others, 'z_proj.offset': bias });
    await expect(loadTokenBridge(path)).rejects.toThrow('config must be given: the weights do not show');
    await expect(loadTokenBridge(path, { config })).rejects.toThrow(
      /2 weights.*missing z_proj.bias.*unexpected z_proj.offset/s,
    );

    await writeSafetensors(path, { ...others, 'diffloss.net.cond_embed.weight': bias });
    await expect(loadTokenBridge(path)).rejects.toThrow(
      'no official model has these weights: diffusion_pos_embed_learned is missing',
    );

    const boundaries = { dtype: 'F32' as const, shape: [17], data: new Float32Array(17).fill(-4) };
    await writeSafetensors(path, { ...tensors, boundaries });
    await expect(loadTokenBridge(path, { config })).rejects.toThrow('quantizer.range must be 4');
  });
});
