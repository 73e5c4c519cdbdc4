import type { ShapesOf } from '@tb/nn';
import {
  type AttentionBlock,
  applyAttentionBlock,
  applyResidualBlock,
  attentionBlockShapes,
  type ResidualBlock,
  residualBlockShapes,
} from './blocks.js';
import type { Stage } from './stage.js';

/** The two residual blocks around attention at the lowest resolution, in encoder and decoder alike. */
export type Middle = { block_1: ResidualBlock; attn_1: AttentionBlock; block_2: ResidualBlock };

export function middleShapes(channels: number): ShapesOf<Middle> {
  const block = () => residualBlockShapes(channels, channels);
  return { block_1: block(), attn_1: attentionBlockShapes(channels), block_2: block() };
}

export function* middleStages(params: Middle, groups: number): Generator<Stage> {
  yield { name: 'mid.block_1', apply: (x) => applyResidualBlock(params.block_1, x, groups) };
  yield { name: 'mid.attn_1', apply: (x) => applyAttentionBlock(params.attn_1, x, groups) };
  yield { name: 'mid.block_2', apply: (x) => applyResidualBlock(params.block_2, x, groups) };
}
