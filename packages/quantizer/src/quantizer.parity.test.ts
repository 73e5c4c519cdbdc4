import { goldenJson, goldenTensors } from '@tb/test-utils';
import { describe, expect, it } from 'vitest';
import { float32Paths } from './float32-path.js';
import { createQuantizer, invertOrder, lowFrequencyOrder, lowFrequencyShares } from './index.js';

type Codebook = {
  B: number;
  ranges: Record<string, { min: number; max: number; values_official_f64: number[]; linear: { recon: number[] } }>;
} & Record<`${'boundaries' | 'recon'}_${'official' | 'paper'}_f64`, number[]>;

const codebooks = goldenJson('quantizer', 'codebooks.json');
const samples = goldenJson('quantizer', 'samples.json');
const sampleFiles: Record<string, { B: number; min: number; max: number }> = samples.files ?? samples;

describe('codebooks', () => {
  it.each(Object.entries<Codebook>(codebooks.levels))('%s is within 1e-12', (_, golden) => {
    const options = { levels: golden.B, range: codebooks.r };
    const clamped = createQuantizer(options);
    const unbounded = createQuantizer({ ...options, tails: 'unbounded' });
    expectWithin(clamped.boundaries, golden.boundaries_official_f64);
    expectWithin(clamped.codebook, golden.recon_official_f64);
    expectWithin(unbounded.boundaries, golden.boundaries_paper_f64);
    expectWithin(unbounded.codebook, golden.recon_paper_f64);
    for (const { min, max, values_official_f64, linear } of Object.values(golden.ranges)) {
      expectWithin(createQuantizer({ ...options, min, max }).values, values_official_f64);
      expectWithin(createQuantizer({ ...options, min, max, spacing: 'linear' }).values, linear.recon);
    }
  });

  it('has the released float32 values bit for bit', async () => {
    const tensors = await goldenTensors('quantizer', 'codebooks.safetensors');
    for (const golden of Object.values<Codebook>(codebooks.levels)) {
      for (const [name, { min, max }] of Object.entries(golden.ranges)) {
        const quantizer = createQuantizer({ levels: golden.B, range: codebooks.r, min, max });
        expect(quantizer.float32Values).toEqual(tensors[`B${golden.B}.${name}.values_official_f32`].data);
      }
    }
  });
});

describe('indices', () => {
  const files = Object.entries(sampleFiles).filter(([file]) => file.endsWith('.safetensors'));
  it.each(files)('%s are equal for every value', async (file, { B: levels, min, max }) => {
    const tensors = await goldenTensors('quantizer', file);
    const x = tensors.x.data as Float32Array;
    const x64 = Float64Array.from(x);
    const options = { levels, min, max, range: codebooks.r };
    const quantizer = createQuantizer(options);
    const indices = quantizer.quantize(x);
    const expected = tensors.indices_official_f32.data as Int32Array;
    expect(Int32Array.from(indices)).toEqual(expected);
    expect(quantizer.dequantize(indices)).toEqual(tensors.dequant_official_f32.data);
    for (const path of Object.values(float32Paths([quantizer.float32Thresholds()]))) {
      const out = levels > 256 ? new Uint16Array(x.length) : new Uint8Array(x.length);
      if (!path) continue; // not offered for this many levels
      path(x, out);
      expect(Int32Array.from(out)).toEqual(expected);
    }

    expect(Int32Array.from(quantizer.quantize(x64))).toEqual(tensors.indices_official_f64.data);
    const unbounded = createQuantizer({ ...options, tails: 'unbounded' });
    expect(Int32Array.from(unbounded.quantize(x64))).toEqual(tensors.indices_paper_nearest_f64.data);
    expect(Int32Array.from(unbounded.quantize(x))).toEqual(tensors.indices_paper_nearest_f64.data);
    const linear = createQuantizer({ ...options, spacing: 'linear' });
    expect(Int32Array.from(linear.quantize(x64))).toEqual(tensors.indices_linear_f64.data);
    expect(Int32Array.from(linear.quantize(x))).toEqual(tensors.indices_linear_f64.data);
  });
});

describe('channel order', () => {
  it('has the shares and the order of the golden latents', async () => {
    const golden = goldenJson('channel-order', 'expected.json');
    const { latents_nhwc } = await goldenTensors('channel-order', 'latents.safetensors');
    const latents = latents_nhwc.data as Float32Array;
    const options = { cutoff: golden.cutoff };
    expectWithin(lowFrequencyShares(latents, golden.shape, options), golden.proportion);
    expect(lowFrequencyOrder(latents, golden.shape, options)).toEqual(golden.order_descending);
    expect(invertOrder(golden.official_hard_coded_order)).toEqual(golden.official_inverse_order);
  });
});

function expectWithin(actual: Float64Array, expected: number[], tolerance = 1e-12): void {
  expect(actual.length).toBe(expected.length);
  const worst = Math.max(...expected.map((value, i) => (actual[i] === value ? 0 : Math.abs(actual[i] - value))));
  expect(worst).toBeLessThanOrEqual(tolerance);
}
