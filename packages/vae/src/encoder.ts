import {
  applyConv2d,
  applyDownsample,
  applyGroupNorm,
  type Conv2d,
  conv2dShapes,
  type GroupNorm,
  groupNormShapes,
  type Resample,
  resampleShapes,
  type ShapesOf,
  silu,
} from '@tb/nn';
import {
  type AttentionBlock,
  applyAttentionBlock,
  applyResidualBlock,
  attentionBlockShapes,
  type ResidualBlock,
  residualBlockShapes,
} from './blocks.js';
import { levelChannels, type VaeConfig } from './config.js';
import { type Middle, middleShapes, middleStages } from './middle.js';
import { repeat, type Stage } from './stage.js';

export type EncoderLevel = {
  block: ResidualBlock[];
  attn?: AttentionBlock[]; // one after each block, at the levels with attention
  downsample?: Resample; // not at the last level
};

export type Encoder = {
  conv_in: Conv2d;
  down: EncoderLevel[]; // from full resolution down
  mid: Middle;
  norm_out: GroupNorm;
  conv_out: Conv2d; // to twice the bottleneck's channels: mean and log-variance
};

export function encoderShapes(config: VaeConfig): ShapesOf<Encoder> {
  const widths = levelChannels(config);
  const last = widths.length - 1;
  const level = (outputs: number, index: number): ShapesOf<EncoderLevel> => {
    const inputs = index === 0 ? config.channels : widths[index - 1];
    const attention = config.encoderAttentionResolutions.includes(config.resolution / 2 ** index);
    return {
      block: repeat(config.residualBlocks, (each) => residualBlockShapes(each === 0 ? inputs : outputs, outputs)),
      ...(attention && { attn: repeat(config.residualBlocks, () => attentionBlockShapes(outputs)) }),
      ...(index < last && { downsample: resampleShapes(outputs) }),
    };
  };
  return {
    conv_in: conv2dShapes(config.imageChannels, config.channels, 3),
    down: widths.map(level),
    mid: middleShapes(widths[last]),
    norm_out: groupNormShapes(widths[last]),
    conv_out: conv2dShapes(widths[last], 2 * config.bottleneckChannels, 3),
  };
}

/** The encoder's steps in order; each reads what the one before returned. */
export function* encoderStages(params: Encoder, groups: number): Generator<Stage> {
  yield { name: 'conv_in', apply: (x) => applyConv2d(params.conv_in, x, { padding: 1 }) };
  for (const [index, { block, attn, downsample }] of params.down.entries()) {
    for (let each = 0; each < block.length; each++) {
      yield { name: `down.${index}.block.${each}`, apply: (x) => applyResidualBlock(block[each], x, groups) };
      if (attn) yield { name: `down.${index}.attn.${each}`, apply: (x) => applyAttentionBlock(attn[each], x, groups) };
    }
    if (downsample) yield { name: `down.${index}.downsample`, apply: (x) => applyDownsample(downsample, x) };
  }
  yield* middleStages(params.mid, groups);
  yield { name: 'norm_out', apply: (x) => applyGroupNorm(params.norm_out, x, { groups }) };
  yield { name: 'conv_out', apply: (x) => applyConv2d(params.conv_out, silu(x), { padding: 1 }) };
}
