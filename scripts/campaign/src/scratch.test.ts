import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openScratch } from './scratch.js';

const trialWith = (faults: string[]) => async (folder: string) => {
  writeFileSync(join(folder, 'file'), '');
  return { faults, folder };
};

it('keeps the folders of faults only, and names them', async () => {
  const scratch = openScratch();
  const other = scratch.newFolder('inputs');
  const good = await scratch.inFolder('trial', trialWith([]));
  expect(existsSync(good.folder)).toBe(false);
  const bad = await scratch.inFolder('trial', trialWith(['a file was lost']));
  expect(bad.faults).toEqual([`a file was lost; its files are in ${bad.folder}`]);
  scratch.close();
  expect(existsSync(other)).toBe(false);
  expect(existsSync(join(bad.folder, 'file'))).toBe(true);
  rmSync(scratch.path, { recursive: true });
});

it('leaves nothing where there was no fault', async () => {
  const scratch = openScratch();
  await scratch.inFolder('trial', trialWith([]));
  scratch.close();
  expect(existsSync(scratch.path)).toBe(false);
});
