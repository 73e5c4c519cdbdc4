import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeFolder } from './make-folder.js';
import { withFolder } from './testing/fixtures.js';

it('removes what it made and nobody filled, and nothing else', () =>
  withFolder(async (root) => {
    const removeExisting = await makeFolder(root);
    const removeDeep = await makeFolder(join(root, 'a', 'b', 'c'));
    const removeFilled = await makeFolder(join(root, 'd', 'e'));
    await writeFile(join(root, 'd', 'file'), '');
    for (const remove of [removeExisting, removeDeep, removeFilled]) await remove();
    expect(await readdir(root, { recursive: true })).toEqual(['d', join('d', 'file')]);
  }));

it('reports why a folder cannot be written, and leaves nothing behind', () =>
  withFolder(async (root) => {
    await writeFile(join(root, 'file'), '');
    await expect(makeFolder(join(root, 'file'), '--out x')).rejects.toThrow(
      '--out x cannot be written: a file has that name',
    );
    await expect(makeFolder(join(root, 'file', 'a'))).rejects.toThrow(
      /a cannot be written: a file has the name of one/,
    );
    await expect(makeFolder(join(root, 'a', 'b'.repeat(300)))).rejects.toThrow(
      /cannot be written: the name is too long/,
    );
    expect(await readdir(root)).toEqual(['file']);
  }));

it.runIf(process.platform === 'linux')('does not wait for ever where the system makes no folders', async () => {
  await expect(makeFolder('/proc/a/b')).rejects.toThrow(
    /^\/proc\/a\/b cannot be written: the system makes no folders there/,
  );
});
