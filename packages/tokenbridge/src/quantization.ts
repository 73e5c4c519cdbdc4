import { createQuantizer, type Quantizer, type QuantizerOptions } from '@tb/quantizer';
import { dequantize as dequantizeTensor, quantize as quantizeTensor } from '@tb/quantizer/tfjs';
import * as tf from '@tensorflow/tfjs-core';

// C = channels, B = levels
//
// Latents to tokens and back on tensors (Eq. 1–5), by @tb/quantizer, or by a checkpoint's reconstruction values.

/** How latents become indices and back (Sec. 3.1). All but `codebook` are options of `createQuantizer` of @tb/quantizer. */
export type QuantizerConfig = {
  /** Number of levels B of a channel. */
  levels: number;
  /** Range of the normalized latents [α_min, α_max]: numbers for all channels, or one per channel. */
  min: number | readonly number[];
  max: number | readonly number[];
  /** r of Eq. 1, in standard deviations. */
  range: number;
  /** Default `gaussian`. */
  spacing?: QuantizerOptions['spacing'];
  /** Default `clamped`, as in the released code. */
  tails?: QuantizerOptions['tails'];
  /**
   * Reconstruction values γ in [−range, range], ascending [B]: a checkpoint's `reconstruction_values`. Its weights were
   * trained on them, so they override those that the options above lead to.
   */
  codebook?: readonly number[];
};

/** Quantizers made so far: computing a codebook takes an integral for each level. */
const quantizers = new WeakMap<QuantizerConfig, { quantizer: Quantizer; isComplete: boolean }>();

/**
 * Makes the quantizer of a configuration.
 *
 * @returns the quantizer, and whether its values are the configuration's: false when `codebook` overrides them
 * @throws Error naming the option that does not fit
 */
export function quantizerOf(config: QuantizerConfig): { quantizer: Quantizer; isComplete: boolean } {
  let made = quantizers.get(config);
  if (!made) {
    const { codebook, min, max, ...options } = config;
    const quantizer = createQuantizer({ ...options, min: ends(min), max: ends(max) });
    made = { quantizer, isComplete: hasCodebookOf(quantizer, config) };
    quantizers.set(config, made);
  }
  return made;
}

const ends = (end: number | readonly number[]) => (typeof end === 'number' ? end : [...end]);

/** Quantizes latents to the index of the nearest codeword (Eq. 1 and 4), the lower index on ties. float32 [..., C] to int32. */
export function quantize<T extends tf.Tensor>(config: QuantizerConfig, latents: T): T {
  const { quantizer, isComplete } = quantizerOf(config);
  if (isComplete) return quantizeTensor(quantizer, latents);
  const { codebook = [], range } = config;
  return tf.tidy(() => {
    const [min, width] = interval(config);
    // Each operation rounds to float32 where the reference's does (Eq. 1).
    const scaled = tf.sub(tf.mul(tf.div(tf.sub(latents, min), width), 2 * range), range);
    const clamped = tf.expandDims(tf.clipByValue(scaled, -range, range), -1);
    return tf.argMin(tf.abs(tf.sub(clamped, tf.tensor1d([...codebook]))), -1) as unknown as T;
  });
}

/** De-quantizes indices to the values of their codewords, in units of the latents (Eq. 5). int32 [..., C] to float32. */
export function dequantize<T extends tf.Tensor>(config: QuantizerConfig, indices: T): T {
  const { quantizer, isComplete } = quantizerOf(config);
  if (isComplete) return dequantizeTensor(quantizer, indices);
  const { codebook = [], range } = config;
  return tf.tidy(() => {
    const [min, width] = interval(config);
    const gammas = tf.gather(tf.tensor1d([...codebook]), indices as unknown as tf.Tensor1D);
    return tf.add(tf.mul(tf.div(tf.add(gammas, range), 2 * range), width), min) as T;
  });
}

/** The latent values of tokens; without a quantizer they are the values already. [..., C] to float32. */
export function valuesOf<T extends tf.Tensor>(
  { quantizer }: { quantizer?: QuantizerConfig; head: unknown },
  tokens: T,
): T {
  return quantizer ? dequantize(quantizer, tokens) : tf.clone(tokens);
}

/** Whether a quantizer has the values of a configuration's codebook bit for bit, so that its faster functions can be used. */
function hasCodebookOf({ float32Values, channels, levels }: Quantizer, config: QuantizerConfig): boolean {
  const { codebook, range } = config;
  if (!codebook) return true;
  const f32 = Math.fround;
  const at = (end: number | readonly number[], channel: number) => (typeof end === 'number' ? end : end[channel]);
  return float32Values.every((value, index) => {
    const [channel, level] = [Math.floor(index / levels) % channels, index % levels];
    const [min, width] = [at(config.min, channel), at(config.max, channel) - at(config.min, channel)];
    return value === f32(f32(f32(f32(f32(codebook[level]) + range) / (2 * range)) * width) + min);
  });
}

/** α_min and α_max − α_min, one per channel or one for all. */
function interval({ min, max }: QuantizerConfig): [tf.Tensor, tf.Tensor] {
  const low = tf.tensor(ends(min));
  return [low, tf.sub(tf.tensor(ends(max)), low)];
}
