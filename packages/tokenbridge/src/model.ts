import {
  assertChannelHeadConfig,
  type ChannelHead,
  type ChannelHeadConfig,
  channelHeadShapes,
  initChannelHead,
} from '@tb/ar-head';
import { assertBackboneConfig, type Backbone, type BackboneConfig, backboneShapes, initBackbone } from '@tb/backbone';
import { InputError } from '@tb/io';
import type { ShapesOf } from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type QuantizerConfig, quantizerOf } from './quantization.js';

/** Everything about a TokenBridge model except its weights. */
export type TokenBridgeConfig = {
  /** The grid of latents that the autoencoder makes of an image. */
  latent: { height: number; width: number; channels: number };
  /** Image classes; labels are 0 … classes − 1. */
  classes: number;
  quantizer: QuantizerConfig;
  /** The channels in the order in which the head predicts them. No official checkpoint holds it; it belongs to the weights. */
  channelOrder: readonly number[];
  backbone: Omit<BackboneConfig, 'positions' | 'channels' | 'classes'>;
  head: Omit<ChannelHeadConfig, 'channels' | 'levels' | 'channelOrder' | 'featureWidth'>;
  /** Rates in [0, 1) that only training uses. */
  training: {
    attentionDropout: number;
    projectionDropout: number;
    /** Share of labels hidden from the model, for guidance. */
    labelDropout: number;
    /** Lower end of the mask ratio's distribution. */
    minimumMaskRatio: number;
  };
};

/**
 * The channel order of the released code, for the 16 channels of its autoencoder (Sec. 3.2: by share of low frequencies). For
 * other latents compute one with `lowFrequencyOrder` of @tb/quantizer.
 */
export const officialChannelOrder: readonly number[] = [8, 1, 10, 9, 6, 12, 4, 0, 3, 11, 7, 14, 2, 15, 13, 5];

/**
 * All trained parameters. Backbone and head share one flat tree, as in the official checkpoints: flattened with dots its
 * names are theirs, and functions of either part take the complete tree.
 */
export type TokenBridge = Backbone & ChannelHead;

/** Number of positions of the latent grid. */
export function positionCount({ latent }: TokenBridgeConfig): number {
  return latent.height * latent.width;
}

/** The backbone's complete configuration. */
export function backboneConfig(config: TokenBridgeConfig): BackboneConfig {
  const { latent, classes, backbone } = config;
  return { ...backbone, positions: positionCount(config), channels: latent.channels, classes };
}

/** The head's complete configuration. */
export function channelHeadConfig(config: TokenBridgeConfig): ChannelHeadConfig {
  const { latent, quantizer, channelOrder, backbone, head } = config;
  const { channels } = latent;
  return { ...head, channels, channelOrder, levels: quantizer.levels, featureWidth: backbone.decoder.width };
}

/**
 * Shapes of the parameters, without making any; `countParameters(tokenBridgeShapes(config))` counts them.
 *
 * @throws Error naming what is wrong with which field of the configuration
 */
export function tokenBridgeShapes(config: TokenBridgeConfig): ShapesOf<TokenBridge> {
  assertTokenBridgeConfig(config);
  return { ...backboneShapes(backboneConfig(config)), ...channelHeadShapes(channelHeadConfig(config)) };
}

/**
 * Makes starting values as the reference draws them.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error naming what is wrong with which field of the configuration
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

/** Checks a configuration. @throws Error naming what is wrong with which field */
export function assertTokenBridgeConfig(config: TokenBridgeConfig): void {
  const { latent, quantizer, channelOrder, training } = config;
  const problems = [
    ...(['height', 'width', 'channels'] as const)
      .filter((name) => !Number.isInteger(latent[name]) || latent[name] < 1)
      .map((name) => `latent.${name} must be a positive integer, got ${latent[name]}`),
    ...quantizerProblems(quantizer, latent.channels),
    ...Object.entries(training)
      .filter(([, rate]) => !(rate >= 0 && rate < 1))
      .map(([name, rate]) => `training.${name} must be in [0, 1), got ${rate}`),
  ];
  const isOrder =
    new Set(channelOrder).size === latent.channels && channelOrder.every((c) => c in range(latent.channels));
  if (!isOrder || channelOrder.length !== latent.channels)
    problems.push(`channelOrder must hold each of 0 … ${latent.channels - 1} once, got [${channelOrder.join(', ')}]`);
  if (problems.length > 0) throw new InputError('assertTokenBridgeConfig', problems.join('; '));
  assertBackboneConfig(backboneConfig(config));
  assertChannelHeadConfig(channelHeadConfig(config));
}

function quantizerProblems(config: QuantizerConfig, channels: number): string[] {
  const { levels, codebook } = config;
  const problems: string[] = [];
  try {
    const ends = quantizerOf(config).quantizer.channels;
    if (ends !== 1 && ends !== channels)
      problems.push(`quantizer.min and max must be numbers or ${channels} values, got ${ends} values`);
  } catch (error) {
    problems.push(`quantizer: ${(error as Error).message}`);
  }
  if (codebook && codebook.length !== levels)
    problems.push(`quantizer.codebook must hold ${levels} values, one per level, got ${codebook.length}`);
  if (codebook?.some((value, index) => index > 0 && !(value > codebook[index - 1])))
    problems.push('quantizer.codebook must ascend');
  return problems;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
