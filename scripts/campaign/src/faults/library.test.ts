// The library must reach the calls of Node's file system, or the faults part would try nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildLibrary, calls, environmentOf, type FaultPoint } from './library.js';

const folder = mkdtempSync(join(tmpdir(), 'tb-library-'));
const library = buildLibrary(folder);

/** Opens, writes, flushes, closes and renames a file, in the thread pool as our writers do; prints the error's code. */
const program = `
const { open, rename } = require('node:fs/promises');
const [, folder] = process.argv;
const path = folder + '/file';
(async () => {
  const file = await open(path + '.tmp', 'w');
  await file.write(Buffer.from('text'));
  await file.sync();
  await file.close();
  await rename(path + '.tmp', path);
})().then(() => console.log('done'), (error) => console.log(error.code));`;

function run(changes: { point?: FaultPoint; countFile?: string }, watched = folder) {
  if (!('path' in library)) throw new Error(library.missing);
  const env = { ...process.env, ...environmentOf(library.path, watched, changes) };
  const { stdout, signal } = spawnSync(process.execPath, ['-e', program, folder], { env, encoding: 'utf8' });
  return signal ?? stdout.trim();
}

it.runIf('path' in library)('counts every call on the files of a folder, and no others', () => {
  const countFile = join(folder, 'counts');
  expect(run({ countFile })).toBe('done');
  expect(readFileSync(countFile, 'utf8')).toBe(calls.map((call) => `${call} 1\n`).join(''));
  expect(run({ countFile }, join(folder, 'other'))).toBe('done');
  expect(readFileSync(countFile, 'utf8')).toBe(calls.map((call) => `${call} 0\n`).join(''));
});

it.runIf('path' in library)('lets the call fail that it is asked for, or kills the process before it', () => {
  for (const call of calls) {
    for (const failure of ['ENOSPC', 'EACCES'] as const)
      expect(run({ point: { call, number: 1, failure } }), call).toBe(failure);
    expect(run({ point: { call, number: 2, failure: 'EIO' } }), call).toBe('done');
  }
  writeFileSync(join(folder, 'file'), 'before');
  expect(run({ point: { call: 'rename', number: 1, failure: 'SIGKILL' } })).toBe('SIGKILL');
  expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('before');
  expect(existsSync(join(folder, 'file.tmp'))).toBe(true);
});
