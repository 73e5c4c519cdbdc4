import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeFileAtomic } from './atomic-file.js';
import { fileSha256 } from './sha256.js';
import { withFolder } from './testing/fixtures.js';

it('writes bytes, text and pieces, replacing what was there', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFileAtomic(path, 'first');
    await writeFileAtomic(path, Uint8Array.of(0x61, 0x62));
    expect(await readFile(path, 'utf8')).toBe('ab');
    await writeFileAtomic(path, [Uint8Array.of(0x63), new Uint8Array(0), Uint8Array.of(0x64)]);
    expect(await readFile(path, 'utf8')).toBe('cd');
    expect(await readdir(folder)).toEqual(['file']);
  }));

it('leaves the old file and nothing else when the content fails half-way', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFile(path, 'old');
    async function* failing() {
      yield Uint8Array.of(1, 2, 3);
      expect(await readdir(folder)).toHaveLength(2); // the temporary file lies in the same folder
      throw new Error('no more');
    }
    await expect(writeFileAtomic(path, failing())).rejects.toThrow('no more');
    expect(await readdir(folder)).toEqual(['file']);
    expect(await readFile(path, 'utf8')).toBe('old');
  }));

it('removes the temporary file when the target cannot be replaced, and reports why', () =>
  withFolder(async (folder) => {
    await expect(writeFileAtomic(folder, 'x')).rejects.toThrow(`${folder} cannot be written: a folder has that name`);
    const nowhere = join(folder, 'none', 'file');
    await expect(writeFileAtomic(nowhere, 'x')).rejects.toMatchObject({
      message: `${nowhere} cannot be written: its folder does not exist`,
      code: 'ENOENT',
    });
    expect(await readdir(folder)).toEqual([]);
    expect((await readdir(join(folder, '..'))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }));

it('hashes files as FIPS 180-4 says', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'abc');
    await writeFile(path, 'abc');
    expect(await fileSha256(path)).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    const million = new Uint8Array(5_000_000).fill(0x61); // more than one piece
    expect(await fileSha256(million.subarray(0, 1_000_000))).toBe(
      'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
    );
    const { createHash } = await import('node:crypto');
    expect(await fileSha256(million)).toBe(createHash('sha256').update(million).digest('hex'));
  }));
