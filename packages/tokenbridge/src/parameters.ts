import { type ChannelHead, channelHeadShapes, initChannelHead } from '@tb/ar-head';
import { type Backbone, backboneShapes, initBackbone } from '@tb/backbone';
import type { ShapesOf } from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertTokenBridgeConfig, backboneConfig, channelHeadConfig, type TokenBridgeConfig } from './config.js';

/**
 * All trained parameters. Backbone and head share one flat tree, as in the official checkpoints: flattened with dots its
 * names are theirs, and a function of either part takes the whole.
 */
export type TokenBridge = Backbone & ChannelHead;

/**
 * Shapes of the parameters, without allocating them; `countParameters(tokenBridgeShapes(config))` counts them.
 *
 * @throws Error saying what is wrong with which field of the configuration
 */
export function tokenBridgeShapes(config: TokenBridgeConfig): ShapesOf<TokenBridge> {
  assertTokenBridgeConfig(config);
  return { ...backboneShapes(backboneConfig(config)), ...channelHeadShapes(channelHeadConfig(config)) };
}

/**
 * Starting values, as the reference draws them.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error saying what is wrong with which field of the configuration
 */
export function initTokenBridge(key: Key, config: TokenBridgeConfig): TokenBridge {
  assertTokenBridgeConfig(config);
  return tf.tidy(() => {
    const [backboneKey, headKey] = splitKey(key, 2);
    return {
      ...initBackbone(backboneKey, backboneConfig(config)),
      ...initChannelHead(headKey, channelHeadConfig(config)),
    };
  });
}
