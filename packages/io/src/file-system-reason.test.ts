import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fileSystemError, fileSystemReason } from './file-system-reason.js';
import { withFolder } from './testing/fixtures.js';

it('names the path once, and keeps the code and the cause', () => {
  const cause = Object.assign(new Error("EISDIR: illegal operation on a directory, read 'a'"), { code: 'EISDIR' });
  expect(fileSystemError('a', 'read', cause)).toMatchObject({
    message: 'a cannot be read: a folder has that name',
    code: 'EISDIR',
    cause,
  });
});

it('names a path in printable characters, for it may come from a file', () => {
  const { message } = fileSystemError('a\u001b[31m\n\u202e.png', 'read', { code: 'ENOENT' });
  expect(message).toBe('a\\u001b[31m\\n\\u202e.png cannot be read: it does not exist');
});

it('uses the words of the error where there are no others', () => {
  expect(fileSystemReason(new Error('no such thing'))).toBe('no such thing');
});

it('does not call a folder missing that cannot be made below a file', () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, 'file'), '');
    const error = await mkdir(join(folder, 'file', 'a', 'b'), { recursive: true }).catch((thrown) => thrown);
    expect(fileSystemReason(error)).toBe('a file has the name of one of its folders');
  }));

// Custom file systems need a namespace in which this user is root.
const mount = (options: string, script: string) =>
  spawnSync(
    'unshare',
    [
      '-rm',
      'sh',
      '-c',
      `mount -t tmpfs -o ${options} tmpfs "$0" && exec "$@"`,
      '/mnt',
      process.execPath,
      ...script.split('\0'),
    ],
    { encoding: 'utf8' },
  );
const canMount = process.platform === 'linux' && mount('size=1m', '-e\0').status === 0;

it.runIf(canMount).each([
  ['ro', 'the file system is read-only', 'the file system is read-only'],
  ['size=1m,nr_inodes=1', 'the file system has no room for more files', 'the file system has no room for more files'],
])('reports that a file system (%s) takes no files', (options, made, written) => {
  const script = `
    const io = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    const { mkdir } = await import('node:fs/promises');
    const show = (error) => console.log(error.message);
    await io.makeFolder('/mnt/a/b').catch(show);
    await io.makeFolders('/mnt/a/b').catch(show);
    await io.writeFileAtomic('/mnt/file', 'x').catch(show);
    await mkdir('/mnt/a/b', { recursive: true }).catch((error) => console.log('mkdir: ' + io.fileSystemReason(error)));`;
  const { stdout, stderr } = mount(options, ['--import', 'tsx', '--input-type=module', '-e', script].join('\0'));
  const lines = stdout.trim().split('\n');
  expect(lines, stderr).toHaveLength(4);
  expect(lines[0]).toContain(`/mnt/a/b cannot be written: ${made}`);
  expect(lines[1]).toContain(`/mnt/a/b cannot be made: ${made}`);
  expect(lines[2]).toContain(`/mnt/file cannot be written: ${written}`);
  expect(lines[3]).toContain(`mkdir: ${made}`);
});
