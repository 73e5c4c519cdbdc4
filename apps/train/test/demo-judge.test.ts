import { join } from 'node:path';
import { loadSmallFeatures } from '@tb/metrics';
import { useBackend } from '@tb/runtime';
import { expect, it, vi } from 'vitest';
import { judgeGenerated } from '../src/commands/demo/judge.js';
import { resolveDemo } from '../src/commands/demo/options.js';
import { cropData, type DemoWeights } from '../src/commands/demo/steps.js';
import { openData } from '../src/data.js';
import { judgeImages } from '../src/evaluation/judge.js';
import { readImages } from '../src/evaluation/real-images.js';
import { packageFolder } from '../src/package.js';

const photographs = packageFolder('demo/photos');
const file = join(packageFolder('demo'), 'features.safetensors');

/** Of a table's row, as numbers. */
const numbers = (cells: readonly string[]) => cells.slice(1).map(Number.parseFloat);

it('judges images next to real ones, and prints why it does not', { timeout: 240_000 }, async () => {
  await useBackend('wasm');
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  const network = await loadSmallFeatures(file);
  const { classNames } = network;
  const weights = { model: { classNames }, photographs } as unknown as DemoWeights; // no image is generated
  const values = { ...cropData(photographs, 7), flip: false };
  const { training } = await openData(values);
  const crops = await readImages(training, 20, values);
  const judge = (judged: number, path = file) => judgeGenerated(weights, resolveDemo({ judged }), path, crops);

  const table = (await judge(20))!;
  expect(table.heads[0]).toBe('20 images each');
  const [agreement, distance, precision, recall] = table.rows.map(numbers);
  expect(table.rows[1][0]).not.toMatch(/FID/);
  for (const share of agreement) expect(share).toBeGreaterThan(50); // real images of ten classes, in all columns
  for (const row of [distance, precision, recall]) expect(row.every(Number.isFinite)).toBe(true);
  expect(said.mock.calls.flat().join('\n')).toMatch(/class as asked +\d+% +\d+% +\d+%[\s\S]*not an FID[\s\S]*rough/);

  const mislabelled = { ...crops, labels: crops.labels.map((label) => (label + 1) % classNames.length) };
  expect(100 * (await judgeImages(network, mislabelled)).overall).toBeLessThan(agreement[0] / 2);

  expect(await judge(0)).toBeUndefined();
  expect(await judge(20, join(photographs, 'none.safetensors'))).toBeUndefined();
  expect(said.mock.calls.slice(-2).flat()).toEqual([
    '  skipped: --judged 0',
    expect.stringMatching(/skipped: .*none\.safetensors, which tb-train features makes, does not exist/),
  ]);
  said.mockRestore();
});
