import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors } from '@tb/io';
import { countParameters, flattenShapes } from '@tb/nn';
import { disposeTree, flattenTree, hostRandom, jit, normal, randomKey, useBackend } from '@tb/runtime';
import { expectClose, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goldenConfig } from '../test/golden-model.js';
import { loadTokenBridge, saveTokenBridge } from './files.js';
import { drawTrainingMasks, evaluate, type LossInputs, loss } from './loss.js';
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

function batch(own: TokenBridgeConfig, images: number, seed = 1): LossInputs {
  const { height, width, channels } = own.latent;
  return {
    latents: normal(randomKey(seed), [images, height, width, channels]) as tf.Tensor4D,
    labels: tf.zeros<tf.Rank.R1>([images], 'int32'),
    masks: drawTrainingMasks(hostRandom(seed), own, images),
  };
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
  const found = (own: TokenBridgeConfig) => configOfShapes(flattenShapes(tokenBridgeShapes(own)));

  it.each(['tiny', 'base', 'large', 'huge'] as const)('is the preset %s for its weights', (name) =>
    expect(found(presets[name])).toEqual(presets[name]),
  );

  it("finds classes, levels, latents and depths of one's own", () => {
    const { large } = presets;
    const own: TokenBridgeConfig = {
      ...large,
      classes: 7,
      latent: { height: 32, width: 32, channels: 16 },
      quantizer: { ...large.quantizer, levels: 16 },
      backbone: { ...large.backbone, bufferSize: 8, decoder: { width: 768, depth: 3, heads: 12 } },
      head: { ...large.head, width: 96, depth: 2, heads: 6, mlpRatio: 2 },
    };
    expect(found(own)).toEqual(own);
  });

  it('says what no weight tells', () => {
    expect(() => found(config)).toThrow('no weight tells how many attention heads a backbone 32 wide has');
    const narrow = { ...presets.tiny, latent: { height: 4, width: 4, channels: 2 }, channelOrder: [1, 0] };
    expect(() => found(narrow)).toThrow('no weight tells the order of 2 channels');
    expect(() => configOfShapes({})).toThrow(ConfigNeededError);
    expect(() => configOfShapes({ 'encoder.conv_in.weight': [128, 3, 3, 3] })).toThrow('loadVae of @tb/vae reads');
    expect(() => configOfShapes({ 'diffloss.net.cond_embed.weight': [1024, 768] })).toThrow("but MAR's");
  });
});

describe('loss', () => {
  it('starts near ln B, for an untrained head knows nothing', () => {
    const start = loss(params, config, batch(config, 4)).dataSync()[0];
    expect(Math.abs(start - Math.log(config.quantizer.levels))).toBeLessThan(0.6);
  });

  it('falls when followed downhill, within jit', () => {
    const inputs = batch(config, 4);
    const flat = flattenTree(params);
    const step = jit((bias: tf.Tensor, given: LossInputs) => {
      const { value, grad } = tf.valueAndGrad((x) => {
        const channelHeads = params.channel_heads.map((head, index) => (index === 0 ? { ...head, bias: x } : head));
        return loss({ ...params, channel_heads: channelHeads }, config, given, { dropoutKey: randomKey(1) });
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

  it('is what evaluate tells too, group by group', () => {
    const inputs = batch(config, 3);
    const told = evaluate(params, config, inputs);
    expect(told.loss.dataSync()[0]).toBeCloseTo(loss(params, config, inputs).dataSync()[0], 5);
    expect(told.lossByGroup.shape).toEqual([config.latent.channels]);
    expect(told.accuracy.dataSync()[0]).toBeLessThan(0.5);
  });

  it('drops out by key', () => {
    const own = { ...config, training: { ...config.training, attentionDropout: 0.2, projectionDropout: 0.2 } };
    const inputs = batch(own, 2);
    const of = (seed?: number) =>
      loss(params, own, inputs, { dropoutKey: seed === undefined ? undefined : randomKey(seed) }).dataSync()[0];
    expect(of(1)).toBe(of(1));
    expect(new Set([of(1), of(2), of()]).size).toBe(3);
  });

  it('hides about the configured share of labels', () => {
    const hidden = drawTrainingMasks(hostRandom(5), config, 2000).unlabelled.dataSync<'float32'>();
    const share = hidden.reduce((sum, each) => sum + each, 0) / hidden.length;
    expect(Math.abs(share - config.training.labelDropout)).toBeLessThan(0.03);
  });

  it.each([1, 2, 4] as const)('trains groups of %d channels, and parallel heads', (groupSize) => {
    for (const kind of ['autoregressive', 'parallel'] as const) {
      const quantizer = { levels: 4, min: -5, max: 5, range: 3 };
      const own: TokenBridgeConfig = { ...config, quantizer, head: { ...config.head, kind, groupSize } };
      const fresh = initTokenBridge(randomKey(1), own);
      const start = loss(fresh, own, batch(own, 2)).dataSync()[0];
      expect(start).toBeGreaterThan(0.8 * groupSize * Math.log(4));
      disposeTree(fresh);
    }
  });

  it('names a latent grid that does not fit', () => {
    const inputs = { ...batch(config, 2), latents: tf.zeros<tf.Rank.R4>([2, 3, 4, 16]) };
    expect(() => loss(params, config, inputs)).toThrow('latents must be [2, 4, 4, 16], got [2, 3, 4, 16]');
  });
});

describe('quantization with a codebook of its own', () => {
  it('takes the nearest of its values', () => {
    const own = { levels: 3, min: [-5, -1], max: [5, 1], range: 3, codebook: [-2, 0.5, 1] };
    const latents = tf.tensor2d([-5, -1, 1, 0.2, 5, 1, -0.9, 0.3], [4, 2]);
    const indices = quantize(own, latents);
    expect([...indices.dataSync()]).toEqual([0, 0, 1, 1, 2, 2, 1, 2]);
    const values = [-2, 0.5, 1].map((gamma) => [((gamma + 3) / 6) * 10 - 5, ((gamma + 3) / 6) * 2 - 1]);
    const expected = [...indices.dataSync()].map((index, place) => values[index][place % 2]);
    expectClose(dequantize(own, indices).dataSync(), expected, 1e-6);
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
      /latent.height.*got 0; quantizer: .*min.*training.labelDropout must be in \[0, 1\), got 1; channelOrder must hold each/,
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

  it('that do not fit are refused with every reason', async () => {
    const path = join(folder, 'wrong.safetensors');
    await saveTokenBridge(path, { params, config });
    const { tensors } = await readSafetensors(path);
    await expect(loadTokenBridge(path, { ema: true })).rejects.toThrow('ema must be false for safetensors');

    const { 'z_proj.bias': bias, ...others } = tensors;
    await writeSafetensors(path, { ...others, 'z_proj.offset': bias });
    await expect(loadTokenBridge(path)).rejects.toThrow('config must be given: no weight tells');
    await expect(loadTokenBridge(path, { config })).rejects.toThrow(
      /2 weights.*missing z_proj.bias.*unexpected z_proj.offset/s,
    );

    await writeSafetensors(path, { ...others, 'diffloss.net.cond_embed.weight': bias });
    await expect(loadTokenBridge(path)).rejects.toThrow(/wrong.safetensors: .* no weights of TokenBridge but MAR's/);

    const boundaries = { dtype: 'F32' as const, shape: [17], data: new Float32Array(17).fill(-4) };
    await writeSafetensors(path, { ...tensors, boundaries });
    await expect(loadTokenBridge(path, { config })).rejects.toThrow('quantizer.range must be 4');
  });
});
