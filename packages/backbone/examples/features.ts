// Context features of every position of an image of which a few positions are known.

import { applyBackbone, type BackboneConfig, drawMasking, initBackbone } from '@tb/backbone';
import { hostRandom, randomKey, uniform, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

await useBackend('wasm');

const config: BackboneConfig = {
  positions: 64,
  channels: 16,
  classes: 10,
  bufferSize: 8,
  encoder: { width: 64, depth: 2, heads: 4 },
  decoder: { width: 64, depth: 2, heads: 4 },
  mlpRatio: 4,
};
const params = initBackbone(randomKey(1), config);

// Which positions the encoder sees: lists of static length, filled up with -1.
const masking = drawMasking(hostRandom(1), { images: 2, positions: 64, minimumRatio: 0.7 });
console.log('visible', masking.visible.shape, 'masked', masking.masked.shape);

const features = applyBackbone(params, config, {
  values: uniform(randomKey(2), [2, 64, 16]) as tf.Tensor3D,
  visible: masking.visible,
  labels: tf.tensor1d([3, 7], 'int32'),
  unlabelled: tf.tensor1d([0, 1]), // hides the second image's class
});
console.log('features', features.shape);
