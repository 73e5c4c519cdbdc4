// A few steps of plain gradient descent on random latents, to show how the loss is differentiated.

import { flattenTree, hostRandom, mapTree, normal, randomKey, splitKey, type Tree, useBackend } from '@tb/runtime';
import {
  drawTrainingMasks,
  initTokenBridge,
  loss,
  presets,
  type TokenBridge,
  type TokenBridgeConfig,
} from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';

await useBackend('wasm');
const config: TokenBridgeConfig = {
  ...presets.tiny,
  latent: { height: 4, width: 4, channels: 16 },
  backbone: {
    ...presets.tiny.backbone,
    encoder: { width: 32, depth: 1, heads: 4 },
    decoder: { width: 32, depth: 1, heads: 4 },
  },
  head: { ...presets.tiny.head, width: 32, depth: 1 },
};
let params = initTokenBridge(randomKey(1), config) as unknown as Tree<tf.Tensor>;

const random = hostRandom(1);
const latents = normal(randomKey(2), [4, 4, 4, 16]) as tf.Tensor4D;
const labels = tf.tensor1d([0, 1, 2, 3], 'int32');
for (const dropoutKey of splitKey(randomKey(3), 3)) {
  const masks = drawTrainingMasks(random, config, 4); // positions and labels to hide
  const { value, grads } = tf.valueAndGrads((...leaves) => {
    let next = 0;
    const tree = mapTree(params, () => leaves[next++]) as unknown as TokenBridge;
    return loss(tree, config, { latents, labels, masks }, { dropoutKey });
  })(Object.values(flattenTree(params)));
  console.log('nats per channel', value.dataSync()[0].toFixed(3));
  let next = 0;
  params = mapTree(params, (leaf) => tf.sub(leaf, tf.mul(0.02, grads[next++])));
}
