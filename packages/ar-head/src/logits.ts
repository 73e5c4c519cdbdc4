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
  groupInputs,
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
    const classes = tokensToClasses(tokens, config.levels, config.groupSize) as tf.Tensor2D;
    const groups = groupCount(config);
    const known = groups > 1 ? tf.slice(classes, [0, 0], [-1, groups - 1]) : null;
    const inputs = groupInputs(params, config, condition, [0, groups], known);
    const { features: hidden } = forward(params, config, condition, inputs, startWalk(params), options);
    return classify(params, 0, hidden);
  });
}
