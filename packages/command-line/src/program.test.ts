import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileFormatError, InputError } from '@tb/io';
import { captureCommand } from '@tb/test-utils';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { prepareFolder, runProgram, tableCommand, text, UsageError } from './index.js';

/** Runs a program with one command, which throws `error` once it has prepared the folder --name, if there is one. */
function run(error: Error | undefined, ...args: string[]) {
  const command = tableCommand('make', { name: text('name') }, async ({ name }) => {
    if (name !== undefined) await prepareFolder('--name', name);
    if (error) throw error;
  });
  return captureCommand(() => runProgram(new Command('program').addCommand(command), ['make', ...args]));
}

afterEach(() => vi.unstubAllEnvs());

describe('runProgram', () => {
  it.each([
    [new UsageError('--name must be short'), 'program: --name must be short\n'],
    [new InputError('openFolder', 'a must be b'), 'program: a must be b\n'],
    [new InputError('open', 'a must be b'), 'program: a must be b\n'],
    [new WebAssembly.RuntimeError('Aborted()'), expect.stringMatching(/^program: the 4 GB of memory .*--batch.*\n$/)],
    [new Error('config a: unknown key'), 'program: config a: unknown key\n'],
    [
      new FileFormatError('a.npz', 7, 'no such thing'),
      'program: a.npz cannot be read: it is damaged, incomplete or of another kind (byte 7: no such thing)\n',
    ],
    [
      new FileFormatError('a.json', undefined, 'files must be an object'),
      'program: a.json cannot be read: it is damaged, incomplete or of another kind (files must be an object)\n',
    ],
    [
      new FileFormatError('a.pth', 7, 'tensor "q" is sparse: save tensor.to_dense()', { sound: true }),
      'program: a.pth cannot be read: tensor "q" is sparse: save tensor.to_dense()\n',
    ],
    [
      Object.assign(new Error('EACCES: …'), { code: 'EACCES', path: 'a.pth' }),
      'program: a.pth cannot be used: the system does not permit it\n',
    ],
    [
      new Error(Array.from({ length: 12 }, (_, line) => `line ${line}`).join('\n')),
      expect.stringMatching(/^program: line 0\n.*line 7\n {2}… and 4 more; TB_DEBUG=1 shows all\n$/s),
    ],
  ])('prints what went wrong: %s', async (error, stderr) => {
    expect(await run(error)).toEqual({ code: 1, stdout: '', stderr });
  });

  it('leaves no empty folders behind', async () => {
    const root = await mkdtemp(join(tmpdir(), 'tb-run-program-'));
    expect((await run(new Error('no data'), '--name', join(root, 'a', 'b'))).code).toBe(1);
    expect(await readdir(root)).toEqual([]);
    expect((await run(new Error('no data'), '--name', root)).code).toBe(1);
    expect(await readdir(root)).toEqual([]); // it was there before
    await rm(root, { recursive: true });
  });

  it('lets no name break its line or steer the terminal', async () => {
    const { stderr } = await run(new Error('first\u001b[2J\n  second'));
    expect(stderr).toBe('program: first\\u001b[2J\n  second\n');
    const damaged = new FileFormatError('a\n.npz', 7, 'no\u0007');
    expect((await run(damaged)).stderr).toMatch(/^program: a\\n\.npz cannot be read: .*no\\u0007\)\n$/);
  });

  it('shows the stack where TB_DEBUG is set', async () => {
    vi.stubEnv('TB_DEBUG', '1');
    expect((await run(new Error('openFolder: a must be b'))).stderr).toMatch(/openFolder: a must be b\n +at /);
  });

  it('suggests the nearest option, and where all of them are listed', async () => {
    const { code, stderr } = await run(undefined, '--nmae', 'x');
    expect(code).toBe(1);
    expect(stderr).toBe(
      "error: unknown option '--nmae'\n(Did you mean --name?)\n(program make --help lists the options)\n",
    );
    expect(await run(undefined, '--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('--name <text>') });
  });

  it('continues when nobody reads its output any more', async () => {
    await run(undefined);
    const failure = (code: string) => Object.assign(new Error(code), { code });
    expect(() => process.stdout.emit('error', failure('EPIPE'))).not.toThrow();
    expect(() => process.stdout.emit('error', failure('EIO'))).toThrow('EIO');
  });
});
