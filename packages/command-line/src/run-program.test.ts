import { FileFormatError } from '@tb/io';
import { captureCommand } from '@tb/test-utils';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runProgram, tableCommand, text, UsageError } from './index.js';

/** Runs a program with one command, which throws `error`. */
function run(error: Error | undefined, ...args: string[]) {
  const command = tableCommand('make', { name: text('name') }, {}, async () => {
    if (error) throw error;
  });
  return captureCommand(() => runProgram(new Command('program').addCommand(command), ['make', ...args]));
}

afterEach(() => vi.unstubAllEnvs());

describe('runProgram', () => {
  it.each([
    [new UsageError('--name must be short'), 'program: --name must be short\n'],
    [new Error('openFolder: a must be b'), 'program: a must be b\n'],
    [new Error('config a: unknown key'), 'program: config a: unknown key\n'],
    [
      new FileFormatError('a.npz', 7, 'no such thing'),
      'program: a.npz cannot be read: it is damaged, incomplete or of another kind (byte 7: no such thing)\n',
    ],
    [
      Object.assign(new Error('EACCES: …'), { code: 'EACCES', path: 'a.pth' }),
      'program: a.pth cannot be used: the system does not permit it\n',
    ],
    [
      new Error(Array.from({ length: 12 }, (_, line) => `line ${line}`).join('\n')),
      expect.stringMatching(/^program: line 0\n.*line 7\n {2}… and 4 more; TB_DEBUG=1 shows all\n$/s),
    ],
  ])('tells a user what went wrong: %s', async (error, stderr) => {
    expect(await run(error)).toEqual({ code: 1, stdout: '', stderr });
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

  it('goes on when nobody reads its output any more', async () => {
    await run(undefined, '--name', 'x');
    const failure = (code: string) => Object.assign(new Error(code), { code });
    expect(() => process.stdout.emit('error', failure('EPIPE'))).not.toThrow();
    expect(() => process.stdout.emit('error', failure('EIO'))).toThrow('EIO');
  });
});
