import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fourierTransform } from './fast-fourier-transform.js';
import { invertOrder, lowFrequencyOrder, lowFrequencyShares } from './index.js';

it('transforms any length as the definition says', () => {
  for (const length of [1, 2, 3, 5, 7, 8, 12, 15, 16, 17, 30, 31, 64, 100]) {
    const real = Float64Array.from({ length }, (_, i) => Math.sin(i * i + 1));
    const imaginary = Float64Array.from({ length }, (_, i) => Math.cos(3 * i + 2));
    const expected = Array.from({ length }, (_, k) => {
      let [sumReal, sumImaginary] = [0, 0];
      for (let j = 0; j < length; j++) {
        const angle = (-2 * Math.PI * ((j * k) % length)) / length;
        sumReal += real[j] * Math.cos(angle) - imaginary[j] * Math.sin(angle);
        sumImaginary += real[j] * Math.sin(angle) + imaginary[j] * Math.cos(angle);
      }
      return [sumReal, sumImaginary];
    });
    fourierTransform(length)(real, imaginary);
    expected.forEach(([a, b], k) => {
      expect(Math.hypot(real[k] - a, imaginary[k] - b), `length ${length}, bin ${k}`).toBeLessThan(1e-12 * length);
    });
  }
});

it('orders smooth channels before rough ones, for any size', () => {
  for (const [height, width] of [
    [16, 16],
    [12, 20],
    [7, 9],
    [1, 32],
    [5, 1],
  ]) {
    const latents: number[] = [];
    for (let i = 0; i < 2 * height * width; i++) {
      const [row, column] = [Math.floor(i / width) % height, i % width];
      const checker = (-1) ** (row + column);
      latents.push(checker, 1 + 0.5 * checker, 1, 0);
    }
    const shape = [2, height, width, 4] as const;
    expect(lowFrequencyOrder(latents, shape)).toEqual([2, 1, 0, 3]);
    const shares = lowFrequencyShares(latents, shape);
    expect(shares[2]).toBeCloseTo(1, 12);
    expect(shares[3]).toBe(0);
    expect(lowFrequencyShares(latents, shape, { cutoff: 1 })[0]).toBeCloseTo(1, 12);
  }
});

it('inverts orders', () => {
  fc.assert(
    fc.property(fc.array(fc.float(), { maxLength: 40 }), (keys) => {
      const order = [...keys.keys()].sort((a, b) => keys[a] - keys[b]);
      const inverse = invertOrder(order);
      expect(inverse.map((position) => order[position])).toEqual([...keys.keys()]);
      expect(invertOrder(inverse)).toEqual(order);
    }),
  );
});

it('rejects what is no order, a wrong shape and infinite latents', () => {
  expect(() => invertOrder([0, 0])).toThrow('each of 0 to 1 once, got 0 at position 1');
  expect(() => invertOrder([0, 2])).toThrow('got 2 at position 1');
  expect(() => lowFrequencyOrder([1, 2, 3], [1, 2, 2, 1])).toThrow('must have 4 values');
  expect(() => lowFrequencyOrder([1, 2, 3, 4], [1, 2, 2, 1], { cutoff: Number.NaN })).toThrow('cutoff');
  expect(() => lowFrequencyOrder([1, Infinity], [1, 1, 1, 2])).toThrow('image 0, channel 1');
});
