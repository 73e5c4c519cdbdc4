// Draws the tokens of some positions channel after channel, then computes the logits of these tokens.

import { type ChannelHeadConfig, channelLogits, initChannelHead, sampleChannels } from '@tb/ar-head';
import { randomKey, uniform, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

await useBackend('wasm');

const config: ChannelHeadConfig = {
  kind: 'autoregressive', // or 'parallel'
  groupSize: 1, // or 2, 4: channels predicted jointly
  channels: 16,
  levels: 64,
  featureWidth: 32,
  width: 64,
  depth: 2,
  heads: 4,
  mlpRatio: 4,
};
const params = initChannelHead(randomKey(1), config);
const features = uniform(randomKey(2), [2, 3, 32]) as tf.Tensor3D; // two images, three positions of each

// One key per image: an image's tokens do not depend on the others.
const draw = { temperature: 0.97, keys: tf.stack([randomKey(10), randomKey(11)]) };
const { tokens, logProbability } = sampleChannels(params, config, features, { draw });
console.log('tokens', tokens.shape, 'nats', logProbability.shape);

const rows = tf.reshape<tf.Rank.R2>(features, [6, 32]);
const logits = channelLogits(params, config, rows, tf.reshape(tokens, [6, 16]), { firstPosition: 'sampling' });
console.log('logits', logits.shape);
