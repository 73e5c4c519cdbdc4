// Does the codebook fit the latents? The mapping of [min, max] to ±range decides it, and the released one (±5 to ±3)
// does not fit every channel. `calibrate` proposes intervals, `report` measures what a choice costs.

import { assertArray } from './array-argument.js';
import type { IndexArray, Quantizer } from './quantizer.js';

/** Options of `calibrate`. */
export type CalibrationOptions = {
  /** Number of channels, which vary fastest in `latents`. */
  channels: number;
  /** Share of a channel's values that its interval holds, in (0, 1]; by default what ±3 standard deviations hold. */
  coverage?: number;
};

/**
 * Proposes the interval of each channel, for `createQuantizer`: the central one that holds `coverage` of the channel's
 * values, between linearly interpolated quantiles. With the default, normal latents are mapped to unit variance for
 * `range: 3`, which is what the Gaussian codebook is made for.
 *
 * @param latents - channels last, at least one value per channel
 * @throws RangeError if the options or the length do not fit, a value is not finite, or a channel is constant
 */
export function calibrate(
  latents: ArrayLike<number>,
  { channels, coverage = 0.9973002039367398 }: CalibrationOptions,
): { min: number[]; max: number[] } {
  if (!Number.isInteger(channels) || channels < 1)
    throw new RangeError(`calibrate: channels must be a positive integer, got ${channels}`);
  if (!(coverage > 0 && coverage <= 1)) throw new RangeError(`calibrate: coverage must lie in (0, 1], got ${coverage}`);
  assertArray('calibrate', 'latents', latents);
  if (latents.length === 0 || latents.length % channels !== 0)
    throw new RangeError(
      `calibrate: latents must hold a positive multiple of ${channels} channels, got ${latents.length} values`,
    );
  const intervals = Array.from({ length: channels }, (_, channel) => {
    const values = finiteValues(latents, channel, channels).sort();
    const [min, max] = [quantile(values, (1 - coverage) / 2), quantile(values, (1 + coverage) / 2)];
    if (!(min < max))
      throw new RangeError(`calibrate: every channel must vary, got the constant ${min} in channel ${channel}`);
    return { min, max };
  });
  return { min: intervals.map(({ min }) => min), max: intervals.map(({ max }) => max) };
}

/** How far latents spread, and what a scale makes of them. */
export type LatentSpread = {
  /** Standard deviation of all values, as they are. */
  deviation: number;
  /** The factor that brings them to unit variance: what the quantizer's interval is made for. */
  scale: number;
  /** Share of the values that, times `factor`, are outside [min, max], in 0..1. */
  outOfRange: number;
};

/** Options of `latentSpread`. */
export type SpreadOptions = {
  /** Factor of the latents before they are quantized (default 1). */
  factor?: number;
  /** The quantizer's interval (default −5 and 5). */
  min?: number;
  max?: number;
};

/**
 * Measures the scale of latents of any autoencoder, over all channels together: the first batch of a data set is enough.
 *
 * @param latents - in the autoencoder's units, in any order, at least two different values
 * @throws RangeError if a value is not finite, or all are the same
 */
export function latentSpread(
  latents: ArrayLike<number>,
  { factor = 1, min = -5, max = 5 }: SpreadOptions = {},
): LatentSpread {
  assertArray('latentSpread', 'latents', latents);
  if (!(Number.isFinite(factor) && factor > 0))
    throw new RangeError(`latentSpread: factor must be positive, got ${factor}`);
  let [sum, outside] = [0, 0];
  for (let i = 0; i < latents.length; i++) {
    sum += latents[i];
    if (!(latents[i] * factor >= min && latents[i] * factor <= max)) outside++;
  }
  const mean = sum / latents.length;
  let squares = 0;
  for (let i = 0; i < latents.length; i++) squares += (latents[i] - mean) ** 2;
  const deviation = Math.sqrt(squares / latents.length);
  if (!(deviation > 0 && Number.isFinite(deviation)))
    throw new RangeError(
      `latentSpread: latents must be finite and must vary, got a standard deviation of ${deviation}`,
    );
  return { deviation, scale: 1 / deviation, outOfRange: outside / latents.length };
}

/** The values of one channel, in order. */
function finiteValues(latents: ArrayLike<number>, channel: number, channels: number): Float64Array {
  const values = new Float64Array(latents.length / channels);
  for (let i = 0, position = channel; i < values.length; i++, position += channels) {
    values[i] = latents[position];
    if (!Number.isFinite(values[i]))
      throw new RangeError(
        `calibrate: latents must be finite, got ${latents[position]} at position ${position} (channel ${channel})`,
      );
  }
  return values;
}

/** Quantile of sorted values, interpolated linearly between the two nearest ranks. */
function quantile(sorted: Float64Array, share: number): number {
  const rank = Math.min(Math.max(share, 0), 1) * (sorted.length - 1);
  const below = Math.floor(rank);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (rank - below) * (sorted[above] - sorted[below]);
}

/** Options of `report`. */
export type ReportOptions = {
  quantizer: Quantizer;
  /** The latents that gave the indices; without them, errors and range are not reported. */
  latents?: ArrayLike<number>;
  /** Number of channels to report on, which vary fastest; by default the quantizer's. */
  channels?: number;
};

/** How well a quantizer fits the latents of one channel. */
export type ChannelReport = {
  /** Share of the levels that occur, in 0..1. */
  utilisation: number;
  /** Entropy of the indices in bits; at most log2 levels. */
  entropy: number;
  /** Share of the latents outside [min, max], in 0..1; NaN without latents. */
  outOfRange: number;
  /** Mean squared error of the reconstruction, in squared units of the latents; NaN without latents. */
  meanSquaredError: number;
};

/** How well a quantizer fits latents, per channel and on average. */
export type Report = {
  channels: ChannelReport[];
  /** Mean over the channels of each figure. */
  mean: ChannelReport;
};

/**
 * What a quantizer makes of latents, channel by channel.
 *
 * @param indices - channels last, at least one per channel
 * @throws RangeError if an index is not in [0, levels) or the lengths do not fit
 */
export function report(
  indices: IndexArray,
  { quantizer, latents, channels = quantizer.channels }: ReportOptions,
): Report {
  if (!Number.isInteger(channels) || channels < 1 || channels % quantizer.channels !== 0)
    throw new RangeError(
      `report: channels must be a positive multiple of the quantizer's ${quantizer.channels}, got ${channels}`,
    );
  assertArray('report', 'indices', indices);
  if (indices.length === 0 || indices.length % channels !== 0)
    throw new RangeError(
      `report: indices must hold a positive multiple of ${channels} channels, got ${indices.length}`,
    );
  if (latents && latents.length !== indices.length)
    throw new RangeError(`report: latents must have the ${indices.length} values of indices, got ${latents.length}`);
  if (latents) assertArray('report', 'latents', latents);
  const values = quantizer.dequantize(indices, new Float64Array(indices.length)); // also validates the indices
  const reports = Array.from({ length: channels }, (_, channel): ChannelReport => {
    const place = channel % quantizer.channels;
    const interval = { min: quantizer.min[place], max: quantizer.max[place] };
    return {
      ...describeIndices(indices, channel, channels, quantizer.levels),
      ...describeLatents(latents, values, channel, channels, interval),
    };
  });
  const mean = (figure: keyof ChannelReport) => reports.reduce((sum, { [figure]: value }) => sum + value, 0) / channels;
  return {
    channels: reports,
    mean: {
      utilisation: mean('utilisation'),
      entropy: mean('entropy'),
      outOfRange: mean('outOfRange'),
      meanSquaredError: mean('meanSquaredError'),
    },
  };
}

function describeIndices(indices: IndexArray, channel: number, channels: number, levels: number) {
  const counts = new Float64Array(levels);
  for (let i = channel; i < indices.length; i += channels) counts[indices[i]]++;
  const total = indices.length / channels;
  let used = 0;
  let entropy = 0;
  for (const count of counts) {
    if (count === 0) continue;
    used++;
    entropy -= (count / total) * Math.log2(count / total);
  }
  return { utilisation: used / levels, entropy: Math.max(entropy, 0) };
}

function describeLatents(
  latents: ArrayLike<number> | undefined,
  values: Float64Array,
  channel: number,
  channels: number,
  { min, max }: { min: number; max: number },
) {
  if (!latents) return { outOfRange: Number.NaN, meanSquaredError: Number.NaN };
  let outside = 0;
  let squares = 0;
  for (let i = channel; i < values.length; i += channels) {
    if (!(latents[i] >= min && latents[i] <= max)) outside++;
    squares += (latents[i] - values[i]) ** 2;
  }
  const total = values.length / channels;
  return { outOfRange: outside / total, meanSquaredError: squares / total };
}
