import {
  assertChannelHeadConfig,
  type ChannelHead,
  type ChannelHeadConfig,
  channelHeadShapes,
  initChannelHead,
} from '@tb/ar-head';
import { assertBackboneConfig, type Backbone, type BackboneConfig, backboneShapes, initBackbone } from '@tb/backbone';
import {
  assertDiffusionHeadConfig,
  type DiffusionHead,
  type DiffusionHeadConfig,
  diffusionHeadShapes,
  initDiffusionHead,
} from '@tb/diffusion-head';
import { InputError } from '@tb/io';
import type { ShapesOf } from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { type QuantizerConfig, quantizerOf } from './quantization.js';

// There is one composition: a backbone, a head that predicts a position from the backbone's features, a decoder. With a head over
// channels it is a TokenBridge model, which works on tokens. With a diffusion head it is MAR (Li et al. 2024), which works on
// the latents themselves and has no quantizer.

/** What the configurations of both kinds of models have. */
export type CommonConfig = {
  /** The grid of latents that the autoencoder makes of an image. */
  latent: { height: number; width: number; channels: number };
  /** Image classes; labels are 0 … classes − 1. */
  classes: number;
  backbone: Omit<BackboneConfig, 'positions' | 'channels' | 'classes'>;
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

/** Everything about a TokenBridge model except its weights. */
export type TokenBridgeConfig = CommonConfig & {
  quantizer: QuantizerConfig;
  /** The channels in the order in which the head predicts them. No official checkpoint holds it; it belongs to the weights. */
  channelOrder: readonly number[];
  head: Omit<ChannelHeadConfig, 'channels' | 'levels' | 'channelOrder' | 'featureWidth'>;
};

/** Everything about a MAR model except its weights. */
export type MarConfig = CommonConfig & {
  head: { kind: 'diffusion' } & Omit<DiffusionHeadConfig, 'channels' | 'featureWidth'> & {
      /** Timesteps that a training step draws for each masked position; `diffusion_batch_mul` of MAR's code, 4 there. */
      timestepsPerPosition: number;
    };
};

/** The configuration of a model of either kind. */
export type ImageModelConfig = TokenBridgeConfig | MarConfig;

/** Whether a configuration is that of a model with a diffusion head. */
export function isMar(config: ImageModelConfig): config is MarConfig {
  return config.head.kind === 'diffusion';
}

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

/** All trained parameters of a MAR model. Flattened with dots the names are those of MAR's checkpoints. */
export type Mar = Omit<Backbone, 'output_pos_embed'> & {
  diffusion_pos_embed_learned: Backbone['output_pos_embed'];
  diffloss: DiffusionHead;
};

/** The parameters of a model of either kind. */
export type ImageModel = TokenBridge | Mar;

/** The parameters that belong to a configuration. */
export type ParametersOf<Config extends ImageModelConfig> = Config extends MarConfig ? Mar : TokenBridge;

/** A TokenBridge model. */
export type TokenModel = { params: TokenBridge; config: TokenBridgeConfig };

/** A MAR model. */
export type MarModel = { params: Mar; config: MarConfig };

/**
 * Joins parameters and configuration, so that the type of one follows from the other.
 *
 * @throws Error where they are of different kinds
 */
export function modelOf(
  params: ImageModel,
  config: ImageModelConfig,
): ({ isMar: true } & MarModel) | ({ isMar: false } & TokenModel) {
  if (isMar(config)) {
    if ('diffloss' in params) return { isMar: true, params, config };
  } else if (!('diffloss' in params)) return { isMar: false, params, config };
  throw new Error(
    `the parameters must be those of a model with the head ${config.head.kind}, got those of another kind`,
  );
}

/** The backbone's parameters by the names of @tb/backbone: one of them has another name in MAR. */
export function backboneOf(params: ImageModel): Backbone {
  return 'diffloss' in params ? { ...params, output_pos_embed: params.diffusion_pos_embed_learned } : params;
}

/** Number of positions of the latent grid. */
export function positionCount({ latent }: ImageModelConfig): number {
  return latent.height * latent.width;
}

/** The backbone's complete configuration. */
export function backboneConfig(config: ImageModelConfig): BackboneConfig {
  const { latent, classes, backbone } = config;
  return { ...backbone, positions: positionCount(config), channels: latent.channels, classes };
}

/** The complete configuration of a diffusion head. */
export function diffusionHeadConfig({ latent, backbone, head }: MarConfig): DiffusionHeadConfig {
  const { width, depth } = head;
  return { width, depth, channels: latent.channels, featureWidth: backbone.decoder.width };
}

/** The complete configuration of a head over channels. */
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
export function tokenBridgeShapes<Config extends ImageModelConfig>(config: Config): ShapesOf<ParametersOf<Config>> {
  assertTokenBridgeConfig(config);
  const backbone = backboneShapes(backboneConfig(config));
  const shapes: ShapesOf<TokenBridge> | ShapesOf<Mar> = isMar(config)
    ? withNamesOfMar(backbone, diffusionHeadShapes(diffusionHeadConfig(config)))
    : { ...backbone, ...channelHeadShapes(channelHeadConfig(config)) };
  return shapes as ShapesOf<ParametersOf<Config>>;
}

/** Joins backbone and diffusion head, or their shapes, to the tree of MAR's names. */
function withNamesOfMar<Backbone extends { output_pos_embed: unknown }, Head>(
  { output_pos_embed: positions, ...backbone }: Backbone,
  head: Head,
) {
  return { ...backbone, diffusion_pos_embed_learned: positions as Backbone['output_pos_embed'], diffloss: head };
}

/**
 * Makes starting values as the reference draws them.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error naming what is wrong with which field of the configuration
 */
export function initTokenBridge<Config extends ImageModelConfig>(key: Key, config: Config): ParametersOf<Config> {
  assertTokenBridgeConfig(config);
  return tf.tidy(() => {
    const [backboneKey, headKey] = splitKey(key, 2);
    const backbone = initBackbone(backboneKey, backboneConfig(config));
    const params: ImageModel = isMar(config)
      ? withNamesOfMar(backbone, initDiffusionHead(headKey, diffusionHeadConfig(config)))
      : { ...backbone, ...initChannelHead(headKey, channelHeadConfig(config)) };
    return params as ParametersOf<Config>;
  });
}

/** Checks a configuration of either kind. @throws Error naming what is wrong with which field */
export function assertTokenBridgeConfig(config: ImageModelConfig): void {
  const { latent, training } = config;
  const problems = [
    ...(['height', 'width', 'channels'] as const)
      .filter((name) => !Number.isInteger(latent[name]) || latent[name] < 1)
      .map((name) => `latent.${name} must be a positive integer, got ${latent[name]}`),
    ...Object.entries(training)
      .filter(([, rate]) => !(rate >= 0 && rate < 1))
      .map(([name, rate]) => `training.${name} must be in [0, 1), got ${rate}`),
  ];
  problems.push(...(isMar(config) ? marProblems(config) : tokenProblems(config)));
  if (problems.length > 0) throw new InputError('assertTokenBridgeConfig', problems.join('; '));
  assertBackboneConfig(backboneConfig(config));
  if (isMar(config)) assertDiffusionHeadConfig(diffusionHeadConfig(config));
  else assertChannelHeadConfig(channelHeadConfig(config));
}

function marProblems({ head: { timestepsPerPosition: count } }: MarConfig): string[] {
  if (Number.isInteger(count) && count >= 1) return [];
  return [`head.timestepsPerPosition must be a positive integer, got ${count}`];
}

function tokenProblems({ latent: { channels }, quantizer, channelOrder }: TokenBridgeConfig): string[] {
  const problems = quantizerProblems(quantizer, channels);
  const isOrder = new Set(channelOrder).size === channels && channelOrder.every((c) => c in range(channels));
  if (!isOrder || channelOrder.length !== channels)
    problems.push(`channelOrder must hold each of 0 … ${channels - 1} once, got [${channelOrder.join(', ')}]`);
  return problems;
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
