import { describe, expect, it } from 'vitest';
import { checkEdit, checkGenerate, checkReconstruct, RefusedError } from './check-requests.js';
import type { GenerateRequest, ModelInfo, PageClient } from './messages.js';

const limits: ModelInfo['limits'] = {
  images: 6,
  steps: 40,
  guidance: 100,
  temperature: 10,
  uploadBytes: 1000,
  uploadPixels: 1000,
  levels: 256,
  range: { min: 0.01, max: 100 },
};
const known = {
  classes: ['cat', 'dog', 'owl'].map((name, label) => ({ label, name, thumbnail: null })),
  grid: { height: 1, width: 2, channels: 3 },
  limits,
};
const settings = {
  guidance: 3,
  guidanceSchedule: 'linear',
  temperature: 1,
  steps: 16,
  order: 'random',
  seed: 7,
  count: 2,
  previewEvery: 4,
} as const;
const generate: GenerateRequest = { ...settings, classes: [2, 0] };
const tokens = Buffer.alloc(12).toString('base64');
const edit: Parameters<PageClient['edit']>[0] = { ...settings, source: { tokens }, mask: [0, 0.5], label: null };
const id = 'ab'.repeat(16);

describe('requests', () => {
  it('pass, without what was not asked for', () => {
    expect(checkGenerate({ ...generate, path: '/etc/passwd' }, known)).toEqual(generate);
    expect(checkEdit({ ...edit, label: undefined }, known)).toEqual(edit);
    expect(checkEdit({ ...edit, source: { image: id, url: 'http://x' } }, known).source).toEqual({ image: id });
    const reconstruct = { image: id, levels: 8, range: 5 };
    expect(checkReconstruct({ ...reconstruct, more: 1 }, known)).toEqual(reconstruct);
  });

  it.each<[unknown, string]>([
    [null, 'it must be an object, but is null'],
    [[], 'it must be an object, but is a list'],
    [{}, 'guidance must be a number, but is missing'],
    [{ ...generate, guidance: '3' }, 'guidance must be a number, but is "3"'],
    [{ ...generate, guidance: 1e300 }, 'guidance must be a number from -100 to 100'],
    [{ ...generate, temperature: -1 }, 'temperature must be a number from 0 to 10'],
    [{ ...generate, steps: 41 }, 'steps must be an integer from 1 to 40, but is 41'],
    [{ ...generate, steps: 1.5 }, 'steps must be an integer'],
    [{ ...generate, seed: 2 ** 53 }, 'seed must be an integer'],
    [{ ...generate, order: '<script>' }, 'order must be "random" or "raster" or "confidence", but is "<script>"'],
    [{ ...generate, classes: [3] }, 'classes[0] must be an integer from 0 to 2, but is 3'],
    [{ ...generate, classes: [] }, 'classes must be a list of 1 to 3'],
    [{ ...generate, classes: [1, 1] }, 'classes must hold each class once'],
    [{ ...generate, count: 4 }, 'at most 6 images can be asked for at once, got 8'],
  ])('to generate are refused: %j', (request, message) => {
    expect(() => checkGenerate(request, known)).toThrow(RefusedError);
    expect(() => checkGenerate(request, known)).toThrow(message);
  });

  it('with a long list are refused by its length, before its entries are checked', () => {
    const request = { ...generate, classes: Array(1e6).fill('x') };
    expect(() => checkGenerate(request, known)).toThrow(RefusedError);
    expect(() => checkGenerate(request, known)).toThrow('classes must be a list of 1 to 3');
  });

  it.each<[unknown, string]>([
    [{ ...edit, source: {} }, 'source must have either image or tokens'],
    [{ ...edit, source: { image: id, tokens } }, 'source must have either image or tokens'],
    [{ ...edit, source: { image: '../../etc/passwd' } }, 'source.image must be an id'],
    [{ ...edit, source: { image: 'http://127.0.0.1/' } }, 'source.image must be an id'],
    [{ ...edit, source: { tokens: tokens.slice(4) } }, 'source.tokens must be base64 of all tokens'],
    [{ ...edit, source: { tokens: `${tokens.slice(1)}\n` } }, 'source.tokens must be base64 of all tokens'],
    [{ ...edit, mask: [0, 0] }, 'mask must choose at least one position'],
    [{ ...edit, mask: [1] }, 'mask must be a list of 2, but is a list'],
    [{ ...edit, mask: [1, 2] }, 'mask[1] must be a number from 0 to 1, but is 2'],
    [{ ...edit, label: 3 }, 'label must be an integer from 0 to 2'],
  ])('to edit are refused: %j', (request, message) => {
    expect(() => checkEdit(request, known)).toThrow(message);
  });

  it.each<[unknown, string]>([
    [{ image: 'file.png', levels: 8, range: 5 }, 'image must be an id'],
    [{ image: id, levels: 1, range: 5 }, 'levels must be an integer from 2 to 256'],
    [{ image: id, levels: 8, range: 0 }, 'range must be a number from 0.01 to 100'],
  ])('to reconstruct are refused: %j', (request, message) => {
    expect(() => checkReconstruct(request, known)).toThrow(message);
  });
});
