import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listenForStop, prepareFile, prepareFolder } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tb-command-line-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

it('makes folders, and reports why it cannot', async () => {
  await prepareFolder('--out', join(root, 'a', 'b'));
  await prepareFile('--grid', join(root, 'a', 'c', 'grid.png'));
  await writeFile(join(root, 'file'), '');
  await mkdir(join(root, 'folder'));
  await expect(prepareFolder('--out', join(root, 'file'))).rejects.toThrow(
    /--out .*file cannot be written: a file has that name/,
  );
  await expect(prepareFile('--grid', join(root, 'folder'))).rejects.toThrow(
    /must name a file, and a folder has that name/,
  );
  await prepareFile('--grid', join(root, 'grid.PNG'), '.png');
  await expect(prepareFile('--grid', join(root, 'grid.jpg'), '.png')).rejects.toThrow(
    /--grid must name a file that ends with \.png, got ".*grid\.jpg"/,
  );
  await expect(prepareFile('--grid', join(root, 'file', 'grid.png'))).rejects.toThrow(
    /--grid .*grid\.png cannot be written: a file has that name/,
  );
});

it('turns the first signal into an abort with its exit code', () => {
  const stop = listenForStop('ends');
  expect([stop.signal.aborted, stop.exitCode()]).toEqual([false, 0]);
  process.emit('SIGTERM');
  expect([stop.signal.aborted, stop.exitCode()]).toEqual([true, 143]);
  stop.close();
  expect(process.listeners('SIGTERM')).toHaveLength(0);
});
