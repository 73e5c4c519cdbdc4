import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HostTensor, openSafetensors, readCheckpoint, writeSafetensors } from '@tb/io';
import { flattenShapes } from '@tb/nn';
import { disposeTree, flattenTree, randomKey, useBackend } from '@tb/runtime';
import { testBackend, writeTorchCheckpoint } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demo, kl16, type VaeConfig, vaeConfigOfShapes } from './config.js';
import { describeVae, loadVae, readVaeConfig, saveVae, vaeConfigKey } from './files.js';
import { initVae, vaeShapes } from './vae.js';

const checkpoint = fileURLToPath(new URL('../fixtures/latent-diffusion.ckpt', import.meta.url));
const config: VaeConfig = {
  ...kl16,
  channels: 2,
  channelMultipliers: [1],
  encoderAttentionResolutions: [],
  bottleneckChannels: 1,
  latentChannels: 1,
  normGroups: 1,
};
let folder: string;
let weights: Record<string, HostTensor>;

beforeAll(async () => {
  await useBackend(testBackend);
  folder = await mkdtemp(join(tmpdir(), 'vae-'));
  const { state_dict } = (await readCheckpoint(checkpoint)) as { state_dict: Record<string, HostTensor> };
  weights = Object.fromEntries(Object.entries(state_dict).filter(([name]) => !name.startsWith('loss.')));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(tensors: Record<string, HostTensor>): Promise<string> {
  const path = join(folder, 'vae.safetensors');
  await writeSafetensors(path, tensors);
  return path;
}

describe('loadVae', () => {
  it('reads a checkpoint of latent diffusion and leaves out its losses', async () => {
    const before = tf.memory().numTensors;
    const params = await loadVae(checkpoint, config);
    const loaded = flattenTree<tf.Tensor>(params);
    expect(new Set(Object.keys(loaded))).toEqual(new Set(Object.keys(weights)));
    for (const [name, { data }] of Object.entries(weights)) expect(loaded[name].dataSync(), name).toEqual(data);
    expect(tf.memory().numTensors).toBe(before + Object.keys(weights).length);
    disposeTree(params);
  });

  it('recognizes the names of diffusers, and refuses a part of an autoencoder', () => {
    const shapes = flattenShapes(vaeShapes(demo));
    const renamed = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name.replace('.down.', '.down_blocks.'), shape]),
    );
    expect(() => vaeConfigOfShapes(renamed)).toThrow('names of diffusers');
    const headless = Object.fromEntries(Object.entries(shapes).filter(([name]) => !name.startsWith('encoder.down.')));
    expect(() => vaeConfigOfShapes(headless)).toThrow('encoder.down.0.block.0.conv1.weight is missing');
  });

  it('reads the same from bytes of either format', async () => {
    for (const path of [checkpoint, await written(weights)]) {
      const bytes = new Uint8Array(await readFile(path));
      expect(await readVaeConfig(bytes)).toMatchObject({ channels: 2, channelMultipliers: [1] });
      const params = await loadVae(bytes, config);
      expect(params.quant_conv.bias.dataSync()).toEqual(weights['quant_conv.bias'].data);
      disposeTree(params);
    }
    await expect(loadVae(Uint8Array.of(1, 2, 3), config)).rejects.toThrow(
      '(memory): byte 0: is not a PyTorch checkpoint',
    );
  });

  it('reads the same from safetensors', async () => {
    const params = await loadVae(await written(weights), config);
    expect(params.quant_conv.bias.dataSync()).toEqual(weights['quant_conv.bias'].data);
    disposeTree(params);
  });

  it.each([
    ['module.', 'model'],
    ['_orig_mod.', 'state_dict'],
    ['first_stage_model.', 'state_dict'],
    ['model.', 'state_dict'],
    ['', 'autoencoder'],
  ])('finds weights behind the prefix %j in the part %s, and reports the prefix', async (prefix, part) => {
    const path = join(folder, 'wrapped.ckpt');
    const renamed = Object.fromEntries(Object.entries(weights).map(([name, tensor]) => [prefix + name, tensor]));
    const others = { 'cond_stage_model.in.weight': weights['quant_conv.bias'], step: 3 };
    const isPart = prefix === 'first_stage_model.' || prefix === 'model.';
    await writeTorchCheckpoint(path, { [part]: isPart ? { ...renamed, ...others } : renamed, epoch: 1 });
    const description = await describeVae(path);
    expect(description).toMatchObject({ prefix, config: { channels: 2, latentChannels: 1 } });
    const params = await loadVae(path, config);
    expect(params.quant_conv.bias.dataSync()).toEqual(weights['quant_conv.bias'].data);
    disposeTree(params);
  });

  it('names weights that are not finite', async () => {
    const bad = { ...weights['quant_conv.bias'], data: Float32Array.of(1, Number.NaN) };
    const path = await written({ ...weights, 'quant_conv.bias': bad });
    const before = tf.memory().numTensors;
    await expect(loadVae(path, config)).rejects.toThrow(/1 of \d+ weights of .* \(quant_conv\.bias\)/);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('lists every weight that does not fit', async () => {
    const { 'quant_conv.bias': bias, ...others } = weights;
    const path = await written({ ...others, 'quant_conv.offset': bias });
    const before = tf.memory().numTensors;
    await expect(loadVae(path, config)).rejects.toThrow(
      /missing quant_conv\.bias \[2\]\n.*unexpected quant_conv\.offset/s,
    );
    await expect(loadVae(path, { ...config, channels: 3 })).rejects.toThrow('wrong shape encoder.conv_in.weight');
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('saveVae', () => {
  it('writes what loadVae reads, with the configuration and the given strings in the header', async () => {
    const path = join(folder, 'saved.safetensors');
    const params = initVae(randomKey(1), config);
    await saveVae(path, params, config, { metadata: { imageSize: '64' } });
    const file = await openSafetensors(path);
    await file.close();
    expect(JSON.parse(file.metadata[vaeConfigKey])).toEqual(config);
    expect(file.metadata).toMatchObject({ imageSize: '64', format: 'pt' });
    const loaded = await loadVae(path, config);
    const [before, after] = [params, loaded].map((tree) => flattenTree<tf.Tensor>(tree));
    for (const [name, tensor] of Object.entries(before))
      expect(after[name].dataSync(), name).toEqual(tensor.dataSync());
    disposeTree([params, loaded]);
  });

  it('writes a checksum, by which loadVae refuses a file that has changed', async () => {
    const path = join(folder, 'changed.safetensors');
    const params = initVae(randomKey(1), config);
    await saveVae(path, params, config, { metadata: { imageSize: '64' } });
    disposeTree(params);
    const bytes = await readFile(path);
    const before = tf.memory().numTensors;
    for (const place of [bytes.length - 1, bytes.indexOf('"64"') + 1]) {
      const changed = Uint8Array.from(bytes);
      changed[place] ^= 1;
      await writeFile(path, changed);
      await expect(loadVae(path, config)).rejects.toThrow(
        /changed\.safetensors: its content does not have the SHA-256/,
      );
      await expect(loadVae(changed, config)).rejects.toThrow(/its content does not have the SHA-256/);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it('writes half precision where asked to', async () => {
    const path = join(folder, 'half.safetensors');
    const params = initVae(randomKey(1), config);
    await saveVae(path, params, config, { dtype: 'F16' });
    const file = await openSafetensors(path);
    await file.close();
    expect(new Set(Object.values(file.tensors).map(({ dtype }) => dtype))).toEqual(new Set(['F16']));
    disposeTree(params);
  });
});

describe('the configuration from shapes', () => {
  const attentive: VaeConfig = { ...demo, encoderAttentionResolutions: [32, 16], decoderAttentionResolutions: [64] };
  it.each([
    ['kl16', kl16],
    ['demo', demo],
    ['one with attention elsewhere', attentive],
    ['one of other channels', { ...kl16, imageChannels: 1, bottleneckChannels: 8, latentChannels: 4 }],
  ])('has the shapes of %s', (_, expected) => {
    const shapes = flattenShapes(vaeShapes(expected));
    const found = vaeConfigOfShapes(shapes);
    expect(flattenShapes(vaeShapes(found))).toEqual(shapes);
    const { resolution, encoderAttentionResolutions, decoderAttentionResolutions, ...sizes } = expected;
    expect(found).toMatchObject(sizes); // the nominal resolution is only a name for the levels
  });

  it('is kl16 for the weights of kl16', () => expect(vaeConfigOfShapes(flattenShapes(vaeShapes(kl16)))).toEqual(kl16));

  it('is read from checkpoints and safetensors alike, and refuses other weights', async () => {
    const path = await written(weights);
    const found = await readVaeConfig(checkpoint);
    expect(found).toMatchObject({ channels: 2, channelMultipliers: [1], latentChannels: 1 });
    expect(await readVaeConfig(path)).toEqual(found);
    const { 'encoder.conv_in.weight': _, ...others } = weights;
    await expect(readVaeConfig(await written(others))).rejects.toThrow(
      /vae\.safetensors: .* no autoencoder has these weights; encoder\.conv_in\.weight is missing/,
    );
  });
});
