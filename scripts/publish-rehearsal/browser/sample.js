// One image from the bytes of the demo's weights: run in a page and in Node, whose tokens must be the same.
import { useBackend } from '@tb/runtime';
import { generate, loadTokenBridge } from '@tb/tokenbridge';
import { decode, loadVae, vaePresets } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';

export async function sample(model, vae) {
  const { name } = await useBackend('wasm');
  const { tokens, latents } = await generate({
    ...(await loadTokenBridge(model)),
    labels: [3],
    seeds: [1],
    numIter: 4,
    cfg: 3,
  });
  const config = vaePresets.demo;
  const image = decode(await loadVae(vae, config), config, tf.div(latents, config.latentScale));
  const { mean, variance } = tf.moments(image);
  return {
    backend: name,
    tokens: Array.from(await tokens.data()),
    shape: image.shape,
    brightness: (await mean.data())[0],
    contrast: Math.sqrt((await variance.data())[0]),
  };
}
