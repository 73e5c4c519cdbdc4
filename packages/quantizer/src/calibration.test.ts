import { describe, expect, it } from 'vitest';
import { calibrate, createQuantizer, latentSpread, normalQuantile, report } from './index.js';

const COUNT = 20_000;
const deviations = [0.5, 1.5, 4];
/** Normal values by stratified quantiles, each channel with its own deviation and mean. */
const latents = Float32Array.from({ length: COUNT * 3 }, (_, i) => {
  const [sample, channel] = [Math.floor(i / 3), i % 3];
  return deviations[channel] * normalQuantile((sample + 0.5) / COUNT) + channel;
});

describe('calibrate', () => {
  it('maps normal channels to unit variance', () => {
    const { min, max } = calibrate(latents, { channels: 3 });
    deviations.forEach((deviation, channel) => {
      expect(min[channel]).toBeCloseTo(channel - 3 * deviation, 1);
      expect(max[channel]).toBeCloseTo(channel + 3 * deviation, 1);
    });
  });

  it('holds everything at full coverage', () => {
    expect(calibrate([3, -1, 2, 8], { channels: 1, coverage: 1 })).toEqual({ min: [-1], max: [8] });
    expect(calibrate([0, 1, 2, 3, 4], { channels: 1, coverage: 0.5 })).toEqual({ min: [1], max: [3] });
  });

  it('rejects NaN, constants and lengths that do not fit', () => {
    expect(() => calibrate([1, Number.NaN, 2, 3], { channels: 2 })).toThrow('position 1 (channel 1)');
    expect(() => calibrate([1, undefined as unknown as number], { channels: 1 })).toThrow(
      'got undefined at position 1',
    );
    expect(() => calibrate([1, 5, 2, 5], { channels: 2 })).toThrow('constant 5 in channel 1');
    expect(() => calibrate([1, 2, 3], { channels: 2 })).toThrow('multiple of 2');
    expect(() => calibrate([1, 2], { channels: 2, coverage: 1.1 })).toThrow('coverage');
  });
});

describe('latentSpread', () => {
  it('finds the scale that brings latents to unit variance, and the share outside', () => {
    const x = Float32Array.from({ length: COUNT }, (_, i) => 86 * normalQuantile((i + 0.5) / COUNT) + 4);
    const { deviation, scale, outOfRange } = latentSpread(x, { factor: 0.2325 });
    expect(deviation).toBeCloseTo(86, 1);
    expect(scale).toBeCloseTo(1 / 86, 5);
    expect(outOfRange).toBeCloseTo(0.803, 3);
    expect(latentSpread(x, { factor: scale }).outOfRange).toBeLessThan(1e-4);
    expect(latentSpread([1, 2, 3, 6], { min: 2, max: 3 })).toMatchObject({ outOfRange: 0.5 });
  });

  it('rejects what has no scale', () => {
    for (const latents of [[], [1], [2, 2, 2], [1, Number.NaN], [1, Number.POSITIVE_INFINITY]])
      expect(() => latentSpread(latents)).toThrow('latents must be finite and must vary');
    expect(() => latentSpread([1, 2], { factor: 0 })).toThrow('factor must be positive, got 0');
    expect(() => latentSpread('12' as never)).toThrow('latents must be a typed array');
  });
});

describe('report', () => {
  it('shows that calibration brings every channel near the optimum', () => {
    const fixed = createQuantizer();
    const calibrated = createQuantizer(calibrate(latents, { channels: 3 }));
    const before = report(fixed.quantize(latents), { quantizer: fixed, latents, channels: 3 });
    const after = report(calibrated.quantize(latents), { quantizer: calibrated, latents });
    after.channels.forEach((channel, i) => {
      expect(channel.entropy).toBeGreaterThan(5.9);
      expect(channel.utilisation).toBe(1);
      expect(channel.meanSquaredError).toBeLessThan(0.0042 * deviations[i] ** 2);
      expect(channel.outOfRange).toBeCloseTo(0.0027, 3);
    });
    expect(before.channels[2].outOfRange).toBeGreaterThan(0.1);
    expect(after.mean.meanSquaredError).toBeLessThan(before.mean.meanSquaredError);
  });

  it('has the known error of the released codebook on unit normals', () => {
    const x = Float64Array.from({ length: COUNT }, (_, i) => normalQuantile((i + 0.5) / COUNT));
    const of = (spacing: 'gaussian' | 'linear') => {
      const quantizer = createQuantizer({ spacing });
      return report(quantizer.quantize(x), { quantizer, latents: x }).mean;
    };
    expect(of('gaussian').meanSquaredError).toBeCloseTo(6.6e-4, 4);
    expect(of('linear').meanSquaredError).toBeCloseTo(2.0e-3, 4);
    expect(of('gaussian').entropy).toBeCloseTo(5.72, 1);
  });

  it('counts exactly', () => {
    const quantizer = createQuantizer({ levels: 4 });
    const { mean } = report([0, 0, 3, 3], { quantizer });
    expect(mean).toMatchObject({ utilisation: 0.5, entropy: 1, outOfRange: Number.NaN });
    expect(() => report([4], { quantizer })).toThrow('got 4 at position 0');
    expect(() => report([1, 2], { quantizer, latents: [1] })).toThrow('2 values');
  });
});
