// A few steps of plain gradient descent on random latents, to show how the loss is differentiated.

import { hostRandom, mapTree, normal, randomKey, splitKey, treeLeaves, useBackend } from '@tb/runtime';
import { drawTrainingMasks, initTokenBridge, loss, presets, type TokenBridgeConfig } from '@tb/tokenbridge';
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
let params = initTokenBridge(randomKey(1), config);

const random = hostRandom(1);
const latents = normal(randomKey(2), [4, 4, 4, 16]) as tf.Tensor4D;
const labels = tf.tensor1d([0, 1, 2, 3], 'int32');
for (const dropoutKey of splitKey(randomKey(3), 3)) {
  const masks = drawTrainingMasks(random, config, 4); // positions and labels to hide
  const { value, grads } = tf.valueAndGrads((...leaves) => {
    let next = 0;
    const differentiated = mapTree(() => leaves[next++], params);
    return loss(differentiated, config, { latents, labels, masks }, { dropoutKey });
  })(treeLeaves(params));
  console.log('nats per channel', value.dataSync()[0].toFixed(3));
  let next = 0;
  params = mapTree((leaf) => tf.sub(leaf, tf.mul(0.02, grads[next++])), params);
}
