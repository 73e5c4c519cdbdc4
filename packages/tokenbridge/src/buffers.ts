import { type HostTensor, toFloat32 } from '@tb/io';
import type { TokenBridgeConfig } from './config.js';
import { quantizerOf } from './quantization.js';

// B = levels, C = channels. What an official state dict holds besides parameters.

const names = ['reconstruction_values', 'boundaries', 'channel_mask'] as const;

/** Splits a state dict into parameters and buffers. */
export function separateBuffers<Entry>(stateDict: Readonly<Record<string, Entry>>) {
  const isBuffer = ([name]: [string, Entry]) => (names as readonly string[]).includes(name);
  const entries = Object.entries(stateDict);
  return {
    parameters: Object.fromEntries(entries.filter((entry) => !isBuffer(entry))),
    buffers: Object.fromEntries(entries.filter(isBuffer)),
  };
}

/**
 * The configuration with what a checkpoint's buffers say: its reconstruction values override the computed ones. The others
 * must agree with the configuration.
 *
 * @throws Error listing every buffer that does not fit
 */
export function configWithBuffers(config: TokenBridgeConfig, buffers: Record<string, HostTensor>): TokenBridgeConfig {
  const { levels, range } = config.quantizer;
  const { channels } = config.latent;
  const shapes = { reconstruction_values: [levels], boundaries: [levels + 1], channel_mask: [channels, channels] };
  const problems = Object.entries(buffers)
    .filter(([name, { shape }]) => `${shape}` !== `${shapes[name as keyof typeof shapes]}`)
    .map(([name, { shape }]) => `${name} must be [${shapes[name as keyof typeof shapes]}], got [${shape}]`);
  if (problems.length === 0) {
    const { boundaries, channel_mask: mask, reconstruction_values: values } = buffers;
    const lowest = boundaries && toFloat32(boundaries)[0];
    if (boundaries && Math.abs(lowest + range) > 1e-5 * range)
      problems.push(`quantizer.range must be ${-lowest}, where the checkpoint's boundaries end, got ${range}`);
    if (mask && !isCausal(toFloat32(mask), channels)) problems.push('channel_mask must be causal');
    if (problems.length === 0 && values)
      return { ...config, quantizer: { ...config.quantizer, codebook: [...toFloat32(values)] } };
  }
  if (problems.length > 0) throw new Error(`loadTokenBridge: buffers do not fit the model: ${problems.join('; ')}`);
  return config;
}

/** The buffers to write beside the parameters: those of an official model, none for a model that never had any. */
export function buffersOf({ latent, quantizer }: TokenBridgeConfig): Record<string, HostTensor> {
  const { codebook, levels } = quantizer;
  if (!codebook) return {};
  const { channels } = latent;
  const mask = Float32Array.from({ length: channels ** 2 }, (_, index) =>
    index % channels > Math.floor(index / channels) ? Number.NEGATIVE_INFINITY : 0,
  );
  const boundaries = Float32Array.from(quantizerOf(quantizer).quantizer.boundaries);
  return {
    channel_mask: { dtype: 'F32', shape: [channels, channels], data: mask },
    reconstruction_values: { dtype: 'F32', shape: [levels], data: Float32Array.from(codebook) },
    boundaries: { dtype: 'F32', shape: [levels + 1], data: boundaries },
  };
}

function isCausal(mask: Float32Array, channels: number): boolean {
  return mask.every((value, index) => {
    const [row, column] = [Math.floor(index / channels), index % channels];
    return value === (column > row ? Number.NEGATIVE_INFINITY : 0);
  });
}
