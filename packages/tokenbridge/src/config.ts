import { assertChannelHeadConfig, type ChannelHeadConfig } from '@tb/ar-head';
import { assertBackboneConfig, type BackboneConfig } from '@tb/backbone';
import { type QuantizerConfig, quantizerOf } from './quantization.js';

/** A TokenBridge model, complete: with the weights it is all that sampling and training need to know of it. */
export type TokenBridgeConfig = {
  /** The grid of latents that the VAE makes of an image. */
  latent: { height: number; width: number; channels: number };
  classes: number;
  quantizer: QuantizerConfig;
  /** The channels in the order in which the head predicts them. No official checkpoint holds it; it belongs to the weights. */
  channelOrder: readonly number[];
  backbone: Omit<BackboneConfig, 'positions' | 'channels' | 'classes'>;
  head: Omit<ChannelHeadConfig, 'channels' | 'levels' | 'featureWidth'>;
  /** Rates in [0, 1) that training alone uses. */
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
 * The channel order of the released code, for the 16 channels of its VAE (Sec. 3.2: by share of low frequencies). For other
 * latents compute one with `lowFrequencyOrder` of @tb/quantizer.
 */
export const officialChannelOrder: readonly number[] = [8, 1, 10, 9, 6, 12, 4, 0, 3, 11, 7, 14, 2, 15, 13, 5];

/** Positions of the latent grid. */
export function positionCount({ latent }: TokenBridgeConfig): number {
  return latent.height * latent.width;
}

/** The backbone's whole configuration. */
export function backboneConfig(config: TokenBridgeConfig): BackboneConfig {
  const { latent, classes, backbone } = config;
  return { ...backbone, positions: positionCount(config), channels: latent.channels, classes };
}

/** The head's whole configuration. */
export function channelHeadConfig({ latent, quantizer, backbone, head }: TokenBridgeConfig): ChannelHeadConfig {
  return { ...head, channels: latent.channels, levels: quantizer.levels, featureWidth: backbone.decoder.width };
}

/** @throws Error saying what is wrong with which field */
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
  if (problems.length > 0) throw new Error(`assertTokenBridgeConfig: ${problems.join('; ')}`);
  assertBackboneConfig(backboneConfig(config));
  assertChannelHeadConfig(channelHeadConfig(config));
}

function quantizerProblems(config: QuantizerConfig, channels: number): string[] {
  const { levels, codebook } = config;
  const problems: string[] = [];
  try {
    const own = quantizerOf(config).quantizer.channels;
    if (own !== 1 && own !== channels)
      problems.push(`quantizer.min and max must be numbers or ${channels} values, got ${own} values`);
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
