import { expect, it } from 'vitest';
import { imageGrid } from './grid.js';

const black = { width: 12, height: 2, data: new Uint8Array(72) };

it('places images row by row', () => {
  const grid = imageGrid([black, black, black], { columns: 2, zoom: 2 });
  expect([grid.width, grid.height]).toEqual([54, 14]);
  const pixel = (x: number, y: number) => [...grid.data.subarray((y * 54 + x) * 3, (y * 54 + x) * 3 + 3)];
  expect(pixel(2, 2)).toEqual([0, 0, 0]);
  expect(pixel(30, 10)).toEqual([255, 255, 255]);
});

it('writes captions', () => {
  const blackValues = (captions?: string[]) =>
    imageGrid([black], { columns: 1, captions }).data.filter((value) => value === 0).length;
  expect(blackValues(['il'])).toBeGreaterThan(blackValues());
});

it('refuses an empty list', () => {
  expect(() => imageGrid([], { columns: 1 })).toThrow('imageGrid: images must not be empty');
});
