import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referenceAssignment } from './assignment.js';
import { referenceCodebook } from './codebook.js';
import { float32Paths } from './float32-path.js';
import { createQuantizer, fromJSON } from './index.js';

const options = fc.record({
  levels: fc.oneof(fc.integer({ min: 2, max: 300 }), fc.constantFrom(1000, 4096)),
  min: fc.double({ min: -20, max: -0.5, noNaN: true }),
  max: fc.double({ min: 0.5, max: 20, noNaN: true }),
  spacing: fc.constantFrom('gaussian' as const, 'linear' as const),
  tails: fc.constantFrom('clamped' as const, 'unbounded' as const),
});

/** Float32 numbers around every threshold, a sweep over all magnitudes, and the special values. */
function denseSweep(thresholds: Float32Array): Float32Array {
  const around = [...thresholds].flatMap((threshold) => {
    const pattern = new Int32Array(Float32Array.of(threshold).buffer)[0];
    const patterns = Int32Array.from({ length: 41 }, (_, i) => Math.max(pattern - 20 + i, 0x80000000));
    return [...new Float32Array(patterns.buffer)];
  });
  const everywhere = new Float32Array(Uint32Array.from({ length: 20_000 }, (_, i) => i * 214_741).buffer);
  const special = [0, -0, 1e-45, -1e-45, 3.4028235e38, -3.4028235e38, Infinity, -Infinity];
  return Float32Array.from([...around, ...everywhere, ...special].filter((x) => !Number.isNaN(x)));
}

describe('quantize', () => {
  it.each([2, 3, 8, 16, 31, 64, 100, 256, 500, 1024])(
    'of float32 equals the released arithmetic around every threshold, B = %i',
    (levels) => {
      for (const [min, max] of [
        [-5, 5],
        [-4, 6],
        [-0.3, 11.7],
        [100, 101],
        [-1e-3, 1e3],
      ]) {
        const quantizer = createQuantizer({ levels, min, max });
        const codebook = referenceCodebook(levels, 3, quantizer.codebook);
        const x = denseSweep(quantizer.float32Thresholds());
        const assign = referenceAssignment(codebook, 3, { min, max });
        const expected = Array.from(x, assign);
        for (const [name, path] of Object.entries(float32Paths([quantizer.float32Thresholds()]))) {
          const indices = levels <= 256 ? new Uint8Array(x.length) : new Uint16Array(x.length);
          if (!path) continue;
          expect(path(x, indices), name).toBe(false);
          expect([...indices], `${name}, [${min}, ${max}]`).toEqual(expected);
        }
      }
    },
  );

  it('of float32 is the first nearest codeword in float32, searched naively', () => {
    const f32 = Math.fround;
    const { codebook, float32Thresholds, quantize } = createQuantizer({ levels: 64, min: -4.3, max: 5.7 });
    const gamma = referenceCodebook(64, 3, codebook);
    const x = denseSweep(float32Thresholds()).filter((value) => Number.isFinite(value));
    const expected = Array.from(x, (value) => {
      const xi = f32(f32(f32(f32(value - f32(-4.3)) / f32(10)) * 6) - 3);
      const clamped = Math.min(Math.max(xi, -3), 3);
      const distances = Array.from(gamma, (each) => f32(Math.abs(f32(clamped - each))));
      return distances.indexOf(Math.min(...distances));
    });
    expect([...quantize(x)]).toEqual(expected);
  });

  it('uses WebAssembly SIMD here, with one interval and with many', () => {
    const many = createQuantizer({ min: [-5, -4, -3], max: 5 });
    const thresholds = many.float32Thresholds();
    const perChannel = [0, 1, 2].map((channel) => thresholds.slice(channel * 63, (channel + 1) * 63));
    expect(float32Paths(perChannel).simd).toBeDefined();
    expect(float32Paths(perChannel.slice(0, 1)).simd).toBeDefined();
  });

  it('treats every channel by its own interval, at every length', () => {
    for (const channels of [2, 3, 16, 20]) {
      const min = Array.from({ length: channels }, (_, channel) => -3 - channel / 7);
      const max = Array.from({ length: channels }, (_, channel) => 4 + channel / 5);
      const all = createQuantizer({ min, max });
      const single = min.map((low, channel) => createQuantizer({ min: low, max: max[channel] }));
      for (const positions of [0, 1, 5, 1700]) {
        const x = Float32Array.from({ length: positions * channels }, (_, i) => 6 * Math.sin(i * 1.7));
        const expected = Array.from(x, (value, i) => single[i % channels].quantize(Float32Array.of(value))[0]);
        expect([...all.quantize(x)]).toEqual(expected);
        const restored = all.dequantize(expected);
        expect([...restored]).toEqual(expected.map((index, i) => single[i % channels].dequantize([index])[0]));
      }
    }
  });

  it('gives codewords their own index, never decreases, and brings infinities to the ends', () => {
    fc.assert(
      fc.property(options, fc.array(fc.float({ noNaN: true }), { minLength: 1 }), (each, numbers) => {
        const quantizer = createQuantizer(each);
        const { levels, tails } = quantizer;
        const hasEmptyBins = tails === 'clamped' && levels > 700;
        if (!hasEmptyBins)
          expect([...quantizer.quantize(quantizer.values)]).toEqual(Array.from({ length: levels }, (_, i) => i));
        for (const x of [Float32Array.from(numbers).sort(), Float64Array.from(numbers).sort()]) {
          const indices = quantizer.quantize(x);
          expect(indices.every((index, i) => i === 0 || index >= indices[i - 1])).toBe(true);
          const ends = quantizer.quantize(x instanceof Float32Array ? ends32 : Float64Array.from(ends32));
          expect([...ends]).toEqual([0, levels - 1]);
        }
      }),
      { numRuns: 30 },
    );
  });

  const ends32 = Float32Array.of(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);

  it('takes 65536 levels in two bytes', () => {
    const quantizer = createQuantizer({ levels: 65536, tails: 'unbounded' });
    const indices = quantizer.quantize(Float32Array.of(-Infinity, -30, 0, 30, Infinity));
    expect(indices).toBeInstanceOf(Uint16Array);
    expect([...indices]).toEqual([0, 0, 32767, 65535, 65535]);
  });

  it('reports where a NaN is', () => {
    const x = new Float32Array(20_001);
    x[20_000] = Number.NaN;
    expect(() => createQuantizer().quantize(x)).toThrow('x must not contain NaN, got NaN at position 20000');
    const quantizer = createQuantizer({ min: [-1, -2, -3], max: 5 });
    expect(() => quantizer.quantize([1, 2, 3, 4, Number.NaN, 6])).toThrow('position 4 (channel 1)');
    const negative = new Float32Array(Uint32Array.of(0, 0xffc00001, 0x7f800001).buffer);
    expect(() => quantizer.quantize(negative)).toThrow(RangeError);
    expect(() => createQuantizer({ levels: 1000 }).quantize(negative)).toThrow('position 1');
  });

  it('refuses what holds no numbers, instead of giving it an index', () => {
    const { quantize, dequantize } = createQuantizer();
    const given = (value: unknown) => () => quantize(value as number[]);
    expect(given([1, undefined])).toThrow('hold numbers alone, got undefined at position 1');
    expect(given([[1, 2], [3]])).toThrow('must be flat and hold numbers alone, got an Array at position 0');
    expect(given([1, '2'])).toThrow('got a string at position 1');
    expect(given(new BigInt64Array(2))).toThrow('got a bigint at position 0');
    expect(given(undefined)).toThrow('x must be a typed array or an array of numbers, got undefined');
    expect(given('12')).toThrow('got a string');
    expect(given(new ArrayBuffer(8))).toThrow('got an ArrayBuffer');
    expect(given({ dataSync: () => [1] })).toThrow('@tb/quantizer/tfjs takes tensors');
    expect(() => dequantize(null as unknown as number[])).toThrow('indices must be a typed array');
  });

  it('rejects outputs and lengths that do not fit', () => {
    const quantizer = createQuantizer({ min: [-1, -2], max: 5 });
    expect(() => quantizer.quantize(new Float32Array(3))).toThrow('multiple of 2 channels');
    expect(() => quantizer.quantize(new Float32Array(4), new Uint8Array(5))).toThrow('length 4');
    expect(() => quantizer.dequantize([0, 64])).toThrow('got 64 at position 1');
    expect(() => createQuantizer({ levels: 257 }).quantize([1], new Uint8Array(1))).toThrow('Uint16Array');
  });
});

describe('arrays of other realms and subclasses', () => {
  const quantizer = createQuantizer();
  /** Float32 numbers around every midpoint between codewords, where float32 and float64 arithmetic differ. */
  const latents = Float32Array.from({ length: 63 * 81 }, (_, i) => {
    const level = Math.floor(i / 81);
    const around = Float32Array.of((quantizer.values[level] + quantizer.values[level + 1]) / 2);
    new Int32Array(around.buffer)[0] += (i % 81) - 40;
    return around[0];
  });
  const make = (expression: string, values: object = {}) => runInNewContext(expression, { ...values });
  class Latents extends Float32Array {
    override get [Symbol.toStringTag](): 'Float32Array' {
      return 'Latents' as 'Float32Array';
    }
    static get [Symbol.species](): Float32ArrayConstructor {
      throw new Error('a subclass need not be constructible from a buffer');
    }
  }

  it('get the indices of the released code', () => {
    const expected = quantizer.quantize(latents);
    expect([...quantizer.quantize(Float64Array.from(latents))]).not.toEqual([...expected]);
    const shared = new Float32Array(new SharedArrayBuffer(latents.byteLength));
    shared.set(latents);
    const others = {
      realm: make('Float32Array.from(latents)', { latents }),
      offset: make('new Float32Array([0, ...latents]).subarray(1)', { latents: [...latents] }),
      subclass: new Latents(latents.buffer),
      clone: structuredClone(latents),
      shared,
    };
    for (const [name, other] of Object.entries(others)) expect(quantizer.quantize(other), name).toEqual(expected);
    const perChannel = createQuantizer({ min: [-5, -5.5], max: 5 });
    const even = latents.subarray(0, latents.length & ~1);
    expect(perChannel.quantize(make('Float32Array.from(even)', { even }))).toEqual(perChannel.quantize(even));
  });

  const Float16 = (globalThis as { Float16Array?: { from(values: ArrayLike<number>): ArrayLike<number> } })
    .Float16Array;
  it.runIf(Float16)('of float16 too', () => {
    const half = Float16!.from(latents);
    expect(quantizer.quantize(half)).toEqual(quantizer.quantize(Float32Array.from(half)));
  });

  it.each([
    [1024, 'Uint8Array'],
    [257, 'Uint8ClampedArray'],
    [1024, 'Int8Array'],
    [129, 'Int8Array'],
    [65536, 'Int16Array'],
    [2, 'BigInt64Array'],
    [64, 'BigUint64Array'],
  ])('are refused as outputs that cannot hold %i levels: %s', (levels, name) => {
    const fine = createQuantizer({ levels });
    const x = Float32Array.of(-5, 0, 1, 5);
    for (const out of [make(`new ${name}(4)`), make(`new (class Own extends ${name} {})(4)`)]) {
      expect(() => fine.quantize(x, out)).toThrow(RangeError);
      expect(() => fine.quantize([...x], out)).toThrow(`out must hold the indices 0 to ${levels - 1}`);
    }
  });

  it.each([
    [256, 'Uint8Array'],
    [256, 'Uint8ClampedArray'],
    [128, 'Int8Array'],
    [1024, 'Uint16Array'],
    [1024, 'Int16Array'],
    [1024, 'Int32Array'],
    [1024, 'Float32Array'],
  ])('receive %i levels where they can hold them: %s', (levels, name) => {
    const fine = createQuantizer({ levels });
    const x = Float32Array.from({ length: 40 }, (_, i) => i / 4 - 5);
    const out = make(`new ${name}(40)`);
    expect(fine.quantize(x, out)).toBe(out);
    expect([...out]).toEqual([...fine.quantize(x)]);
  });

  it('receive codewords in float64 or float32, and never rounded', () => {
    const indices = [0, 7, 31, 63];
    const wide = make('new Float64Array(4)');
    expect([...quantizer.dequantize(indices, wide)]).toEqual(indices.map((index) => quantizer.values[index]));
    const single = make('new Float32Array(4)');
    expect([...quantizer.dequantize(make('Uint8Array.from(indices)', { indices }), single)]).toEqual([
      ...quantizer.dequantize(indices),
    ]);
    for (const out of [new Int8Array(4), make('new Uint16Array(4)'), new BigInt64Array(4)])
      expect(() => quantizer.dequantize(indices, out as unknown as Float32Array)).toThrow(RangeError);
    const noArray = new DataView(new ArrayBuffer(4)) as unknown as Float32Array;
    expect(() => quantizer.dequantize(indices, noArray)).toThrow(TypeError);
    expect(() => quantizer.quantize(latents, noArray as never)).toThrow('out must be a typed array');
    expect(() => quantizer.quantize({ length: -1 })).toThrow(TypeError);
  });
});

describe('options', () => {
  it('survive JSON', () => {
    fc.assert(
      fc.property(options, (each) => {
        const quantizer = createQuantizer(each);
        const copy = fromJSON(JSON.parse(JSON.stringify(quantizer)));
        expect(copy.toJSON()).toEqual(quantizer.toJSON());
        expect(copy.values).toEqual(quantizer.values);
      }),
      { numRuns: 20 },
    );
    const perChannel = createQuantizer({ min: [-1, -2], max: [3, 4] });
    expect(fromJSON(perChannel.toJSON()).min).toEqual(perChannel.min);
  });

  it('are validated', () => {
    expect(() => createQuantizer({ levels: 1 })).toThrow('levels must be an integer from 2 to 65536, got 1');
    expect(() => createQuantizer({ min: 5, max: 5 })).toThrow('min must be less than max');
    expect(() => createQuantizer({ min: [1, 2], max: [3] })).toThrow('one value per channel, got 2 and 1');
    expect(() => createQuantizer({ range: 0 })).toThrow('range');
    expect(() => createQuantizer({ spacing: 'cubic' as 'linear' })).toThrow('got "cubic"');
    expect(() => createQuantizer({ levles: 3 } as object)).toThrow('got "levles"');
    expect(() => createQuantizer(8 as unknown as object)).toThrow(
      'options must be an object, such as { levels: 64 }, got a number',
    );
    expect(() => createQuantizer({ range: '3' } as object)).toThrow('range must lie');
    expect(() => createQuantizer({ min: '-3' } as object)).toThrow('one per channel, got a string');
    expect(() => createQuantizer({ max: null } as object)).toThrow('one per channel, got null');
    const json = createQuantizer().toJSON();
    for (const bad of [null, [], 'x', { ...json, version: 2 }, { ...json, format: 'y' }, { ...json, extra: 1 }])
      expect(() => fromJSON(bad)).toThrow(TypeError);
    for (const bad of [
      { ...json, levels: '64' },
      { ...json, min: ['a'] },
      { ...json, tails: 1 },
      { ...json, range: undefined },
    ])
      expect(() => fromJSON(bad)).toThrow(TypeError);
    expect(() => fromJSON({ ...json, levels: 0 })).toThrow(RangeError);
  });

  it('are named in messages in printable characters, and cut where they are long', () => {
    const json = createQuantizer().toJSON();
    const message = (change: object) => {
      try {
        fromJSON({ ...json, ...change });
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    };
    expect(message({ spacing: '\u001b[31m\u202e\u009b' })).toMatch(/got "\\u001b\[31m\\u202e\\u009b"$/);
    expect(message({ tails: 'x'.repeat(5000) })).toMatch(/got "x{79}…$/);
    expect(message({ range: [1n] })).toMatch(/range must be a number, got an Array$/);
    expect(() => createQuantizer({ ['\u001b'.repeat(900)]: 1 })).toThrow(/^createQuantizer: option must be .{1,600}$/);
  });
});
