import {
  applyConv2d,
  applyGroupNorm,
  applyUpsample,
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

export type DecoderLevel = {
  block: ResidualBlock[]; // one more than in the encoder
  attn?: AttentionBlock[]; // one after each block, at the levels with attention
  upsample?: Resample; // not at full resolution
};

export type Decoder = {
  conv_in: Conv2d;
  mid: Middle;
  up: DecoderLevel[]; // numbered as in the encoder, from full resolution down; run from the last to the first
  norm_out: GroupNorm;
  conv_out: Conv2d;
};

export function decoderShapes(config: VaeConfig): ShapesOf<Decoder> {
  const widths = levelChannels(config);
  const last = widths.length - 1;
  const level = (outputs: number, index: number): ShapesOf<DecoderLevel> => {
    const inputs = index === last ? outputs : widths[index + 1];
    const blocks = config.residualBlocks + 1;
    const attention = config.decoderAttentionResolutions.includes(config.resolution / 2 ** index);
    return {
      block: repeat(blocks, (each) => residualBlockShapes(each === 0 ? inputs : outputs, outputs)),
      ...(attention && { attn: repeat(blocks, () => attentionBlockShapes(outputs)) }),
      ...(index > 0 && { upsample: resampleShapes(outputs) }),
    };
  };
  return {
    conv_in: conv2dShapes(config.bottleneckChannels, widths[last], 3),
    mid: middleShapes(widths[last]),
    up: widths.map(level),
    norm_out: groupNormShapes(widths[0]),
    conv_out: conv2dShapes(widths[0], config.imageChannels, 3),
  };
}

/** The decoder's steps in order; each reads what the one before returned. */
export function* decoderStages(params: Decoder, groups: number): Generator<Stage> {
  yield { name: 'conv_in', apply: (x) => applyConv2d(params.conv_in, x, { padding: 1 }) };
  yield* middleStages(params.mid, groups);
  for (let index = params.up.length - 1; index >= 0; index--) {
    const { block, attn, upsample } = params.up[index];
    for (let each = 0; each < block.length; each++) {
      yield { name: `up.${index}.block.${each}`, apply: (x) => applyResidualBlock(block[each], x, groups) };
      if (attn) yield { name: `up.${index}.attn.${each}`, apply: (x) => applyAttentionBlock(attn[each], x, groups) };
    }
    if (upsample) yield { name: `up.${index}.upsample`, apply: (x) => applyUpsample(upsample, x) };
  }
  yield { name: 'norm_out', apply: (x) => applyGroupNorm(params.norm_out, x, { groups }) };
  yield { name: 'conv_out', apply: (x) => applyConv2d(params.conv_out, silu(x), { padding: 1 }) };
}
