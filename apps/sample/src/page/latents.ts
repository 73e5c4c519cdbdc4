// What quantizing does to the latents of an image. Without modules of Node: the static site uses it too.
import { createQuantizer } from '@tb/quantizer';
import type { ChannelUse } from './messages.js';

// C = latent channels, B = levels

/** A quantizer of B levels over [−range, range]. */
export type LevelsAndRange = { levels: number; range: number };

/** Quantizes and restores latents. @param normalized - in units of their deviation, channels last */
export function quantizeLatents(normalized: Float32Array, { levels, range }: LevelsAndRange) {
  const quantizer = createQuantizer({ levels, min: -range, max: range });
  const indices = quantizer.quantize(normalized);
  return { indices, restored: Float32Array.from(quantizer.dequantize(indices)) };
}

/** Computes the share of latents outside [−range, range], in 0 … 1. */
export function shareOutside(normalized: Float32Array, range: number): number {
  return normalized.reduce((count, value) => count + (Math.abs(value) > range ? 1 : 0), 0) / normalized.length;
}

/** Counts how often each channel uses each of its codewords. @param channels - C */
export function useOfChannels(
  normalized: Float32Array,
  indices: ArrayLike<number>,
  channels: number,
  { levels, range }: LevelsAndRange,
): ChannelUse[] {
  return Array.from({ length: channels }, (_, channel) => {
    const ofChannel = (_: unknown, place: number) => place % channels === channel;
    const counts = Array<number>(levels).fill(0);
    for (let i = channel; i < indices.length; i += channels) counts[indices[i]]++;
    return { counts, outOfRange: shareOutside(normalized.filter(ofChannel), range) };
  });
}
