import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSha256 } from '@tb/io';
import { disposeTree, randomKey } from '@tb/runtime';
import { initTokenBridge, presets, saveTokenBridge, type TokenBridgeConfig } from '@tb/tokenbridge';
import { describeWeights } from '@tb/trainer';
import { demo, initVae, saveVae, type VaeConfig } from '@tb/vae';

/** 16 × 16 images as 4 × 4 × 4 latents. */
export const tinyVae: VaeConfig = {
  ...demo,
  channels: 8,
  channelMultipliers: [1, 1, 2],
  resolution: 16,
  bottleneckChannels: 4,
  latentChannels: 4,
  normGroups: 4,
  latentScale: 1,
};

export const tinyModel: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 4, width: 4, channels: 4 },
  classes: 3,
  quantizer: { levels: 8, min: -5, max: 5, range: 3 },
  channelOrder: [2, 0, 1, 3],
  backbone: {
    bufferSize: 2,
    mlpRatio: 2,
    encoder: { width: 16, depth: 1, heads: 2 },
    decoder: { width: 16, depth: 1, heads: 2 },
  },
  head: { kind: 'autoregressive', groupSize: 1, width: 16, depth: 1, heads: 2, mlpRatio: 2 },
};

export const classNames = ['brick', 'grass', 'tabby cat'];

/** Makes untrained weights of a model and its autoencoder. */
export function makeTinyWeights() {
  const key = randomKey(1);
  const model = { params: initTokenBridge(key, tinyModel), config: tinyModel };
  const vae = { params: initVae(key, tinyVae), config: tinyVae };
  key.dispose();
  return { model, vae, free: () => disposeTree([model.params, vae.params]) };
}

/** Writes untrained weights of a model and its autoencoder, as tb-train would leave them in runs. */
export async function writeTinyWeights(folder: string): Promise<{ model: string; vae: string }> {
  await mkdir(folder, { recursive: true });
  const made = makeTinyWeights();
  const vae = join(folder, 'vae.safetensors');
  await saveVae(vae, made.vae.params, tinyVae, { metadata: describeWeights({ imageSize: 16 }) });
  const model = join(folder, 'model.safetensors');
  const metadata = describeWeights({ imageSize: 16, classNames, vaeSha256: await fileSha256(vae) });
  await saveTokenBridge(model, made.model, { metadata });
  made.free();
  return { model, vae };
}
