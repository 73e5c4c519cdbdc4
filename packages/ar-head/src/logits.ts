import { assertShape } from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';
import type { ChannelHead } from './channel-head.js';
import { type ChannelHeadConfig, groupCount } from './config.js';
import {
  classify,
  conditionOn,
  type FirstPosition,
  type ForwardOptions,
  forward,
  groupInput,
  startWalk,
} from './forward.js';
import { tokensToClasses } from './groups.js';

// R = rows (positions of all images), C = channels, G = groups, K = classes, Z = feature width

export type LogitsOptions = ForwardOptions & {
  /** Default `training`, as the released code trains. */
  firstPosition?: FirstPosition;
};

/**
 * Logits of every group given the true tokens of the groups before (teacher forcing of Eq. 6).
 *
 * @param features - context features [R, Z]
 * @param tokens - tokens in the head's order of channels, int32 [R, C], each in [0, levels)
 * @returns float32 [R, G, K]
 * @throws Error if a shape does not fit the configuration
 */
export function channelLogits(
  params: ChannelHead,
  config: ChannelHeadConfig,
  features: tf.Tensor2D,
  tokens: tf.Tensor2D,
  options: LogitsOptions = {},
): tf.Tensor3D {
  assertShape('channelLogits', 'tokens', tokens, [features.shape[0], config.channels]);
  return tf.tidy(() => {
    const condition = conditionOn(params, config, features, options.firstPosition ?? 'training', options);
    const classes = tf.unstack(tokensToClasses(tokens, config.levels, config.groupSize), 1);
    const inputs = Array.from({ length: groupCount(config) }, (_, group) =>
      groupInput(params, config, condition, group, classes[group - 1]),
    );
    const run = forward(params, config, condition, tf.concat(inputs, 1), startWalk(params), options);
    const logits = tf.unstack(run.features, 1).map((each, group) => classify(params, group, each as tf.Tensor2D));
    return tf.stack(logits, 1) as tf.Tensor3D;
  });
}
