import { channelHeadSizes } from '@tb/ar-head';
import { backboneSizes } from '@tb/backbone';
import { diffusionHeadSizes } from '@tb/diffusion-head';
import {
  type ImageModelConfig,
  type MarConfig,
  officialChannelOrder,
  positionCount,
  type TokenBridgeConfig,
} from './model.js';

/** 256 × 256 images through the KL-16 autoencoder, ImageNet's classes, B = 64 on [−5, 5] (Sec. 4.1), rates of Tab. 4. */
function imageNet(size: 'base' | 'large' | 'huge'): TokenBridgeConfig {
  return {
    latent: { height: 16, width: 16, channels: 16 },
    classes: 1000,
    quantizer: { levels: 64, min: -5, max: 5, range: 3 },
    channelOrder: officialChannelOrder,
    backbone: backboneSizes[size],
    head: { kind: 'autoregressive', groupSize: 1, ...channelHeadSizes[size] },
    training: { attentionDropout: 0.1, projectionDropout: 0.1, labelDropout: 0.1, minimumMaskRatio: 0.7 },
  };
}

/**
 * Ready configurations. `large` and `huge` are the paper's (appendix A and the released code). `base` is MAR-B's backbone
 * with L's head, as in Tab. 2(d); the released code's base has a head 768 wide, and there are weights of neither. `tiny` is
 * this project's, for demonstrations: 64 × 64 images as 8 × 8 × 16 latents, ten classes, minutes of training on one GPU,
 * sampling in a browser.
 */
export const presets = {
  tiny: {
    latent: { height: 8, width: 8, channels: 16 },
    classes: 10,
    quantizer: { levels: 32, min: -5, max: 5, range: 3 },
    channelOrder: officialChannelOrder,
    backbone: {
      bufferSize: 8,
      mlpRatio: 4,
      encoder: { width: 160, depth: 4, heads: 4 },
      decoder: { width: 160, depth: 4, heads: 4 },
    },
    head: { kind: 'autoregressive', groupSize: 1, width: 160, depth: 3, heads: 4, mlpRatio: 4 },
    training: { attentionDropout: 0.1, projectionDropout: 0.1, labelDropout: 0.1, minimumMaskRatio: 0.7 },
  },
  base: imageNet('base'),
  large: imageNet('large'),
  huge: imageNet('huge'),
} as const satisfies Record<string, TokenBridgeConfig>;

/** The preset of MAR with the same latents, backbone and rates as one of TokenBridge. */
function withDiffusionHead(
  { latent, classes, backbone, training }: TokenBridgeConfig,
  size: { width: number; depth: number },
): MarConfig {
  return { latent, classes, backbone, training, head: { kind: 'diffusion', ...size, timestepsPerPosition: 4 } };
}

/**
 * Ready configurations with a diffusion head. `base`, `large` and `huge` are those of MAR's released checkpoints (Li et al. 2024).
 * `tiny` is the tiny TokenBridge with such a head.
 */
export const marPresets = {
  tiny: withDiffusionHead(presets.tiny, { width: 160, depth: 3 }),
  base: withDiffusionHead(presets.base, diffusionHeadSizes.base),
  large: withDiffusionHead(presets.large, diffusionHeadSizes.large),
  huge: withDiffusionHead(presets.huge, diffusionHeadSizes.huge),
} as const satisfies Record<string, MarConfig>;

/** Settings of sampling that suit a model; see `GenerateOptions` for each. */
export type RecommendedSampling = { steps: number; guidanceScale: number; temperature: number };

/**
 * Recommends settings for sampling by the size of a model. L and H get guidance and temperature of Tab. 4, and 256 steps, which
 * predict at most one position of the 16 × 16 each. `base` has no published values and gets L's. `tiny` and custom sizes
 * get guidance 3, temperature 1 and a quarter as many steps as the grid has positions. MAR's sizes get what its authors evaluate
 * them with: guidance 2.9, 3 and 3.2, temperature 1, 256 steps.
 */
export function recommendedSampling(config: ImageModelConfig): RecommendedSampling {
  const published = publishedSampling.find(([preset]) => hasSizeOf(config, preset));
  if (published) return { steps: 256, ...published[1] };
  return { steps: Math.max(1, Math.ceil(positionCount(config) / 4)), guidanceScale: 3, temperature: 1 };
}

const publishedSampling: readonly (readonly [ImageModelConfig, Omit<RecommendedSampling, 'steps'>])[] = [
  [presets.base, { guidanceScale: 3.1, temperature: 0.97 }],
  [presets.large, { guidanceScale: 3.1, temperature: 0.97 }],
  [presets.huge, { guidanceScale: 3.45, temperature: 0.91 }],
  [marPresets.base, { guidanceScale: 2.9, temperature: 1 }],
  [marPresets.large, { guidanceScale: 3, temperature: 1 }],
  [marPresets.huge, { guidanceScale: 3.2, temperature: 1 }],
];

function hasSizeOf({ backbone: { encoder }, head }: ImageModelConfig, preset: ImageModelConfig): boolean {
  const { width, depth } = preset.backbone.encoder;
  return (
    encoder.width === width &&
    encoder.depth === depth &&
    head.kind === preset.head.kind &&
    head.width === preset.head.width
  );
}
