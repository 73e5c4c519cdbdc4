import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors } from '@tb/io';
import { describeWeights } from '@tb/trainer';
import { afterEach, expect, it, vi } from 'vitest';
import { assertSameData, sameDataCheck } from './starting-weights.js';

const info = { classNames: ['cat', 'dog'], imageSize: 64, vaeSha256: 'a'.repeat(64) };
const data = { images: 10, names: 'x' };
const checkpoint = {
  folder: 'run/checkpoints/step-00000003',
  info,
  progress: {
    step: 3,
    retries: 0,
    smoothedLoss: 1,
    seconds: 1,
    seed: 0,
    config: { flip: true, cropScaleMin: 0.25 },
    data,
  },
};

const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
afterEach(() => printed.mockClear());
const lines = () => printed.mock.calls.map(([line]) => line);

it('accepts the same data without a word, also of weights that state nothing', () => {
  sameDataCheck({ ...info, ...data }, { flip: true }, {})(checkpoint);
  sameDataCheck(
    { ...info, ...data },
    {},
    {},
  )({ ...checkpoint, info: {}, progress: { ...checkpoint.progress, data: undefined } });
  expect(lines()).toEqual([]);
});

it.each([
  [
    '--any-classes',
    { ...info, classNames: ['aardvark', 'cat'] },
    'the classes cat, dog, and the data has aardvark, cat',
  ],
  [
    '--any-vae',
    { ...info, vaeSha256: 'b'.repeat(64) },
    'the autoencoder whose SHA-256 begins with aaaaaaaaaaaa, and that of this run begins with bbbbbbbbbbbb',
  ],
])('refuses other data unless %s accepts it', async (option, now, reason) => {
  const accepted = { anyClasses: option === '--any-classes', anyVae: option === '--any-vae' };
  const others = { anyClasses: !accepted.anyClasses, anyVae: !accepted.anyVae };
  expect(() => sameDataCheck(now, {}, others)(checkpoint)).toThrow(`--resume: ${checkpoint.folder} was trained`);
  expect(() => sameDataCheck(now, {}, others)(checkpoint)).toThrow(reason);
  sameDataCheck(now, {}, accepted)(checkpoint);

  const path = join(mkdtempSync(join(tmpdir(), 'tb-same-')), 'model.safetensors');
  await writeSafetensors(path, {}, { metadata: describeWeights(info) });
  await expect(assertSameData(path, now, others)).rejects.toThrow(`--initial: ${path} was trained`);
  await expect(assertSameData(path, now, others)).rejects.toThrow(`${option} `);
  await assertSameData(path, now, accepted);
});

it('reports what changes the order of the data in one line each', () => {
  sameDataCheck({ ...info, imageSize: 32, images: 11, names: 'y' }, { flip: false, cropScaleMin: 0.5 }, {})(checkpoint);
  sameDataCheck({ ...info, ...data, names: 'y' }, {}, {})(checkpoint);
  expect(lines()).toEqual([
    'image size: 32 × 32 from here on, 64 × 64 so far',
    'the data has 11 images, and had 10 images so far: the order of the images changes from here on',
    '--crop-scale-min: 0.5 from here on, 0.25 so far',
    '--flip: false from here on, true so far',
    'the images have other names than those that the run was trained on so far: their order changes from here on',
  ]);
});
