import { spawn, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { resolveLaunch } from './options.js';
import { passedVariables, planProcesses, quote, shellScript } from './plan.js';

describe('planProcesses', () => {
  const common = { port: 61_500, job: 'launch x', incarnation: 2, variables: { NCCL_DEBUG: 'WARN' } };

  it('numbers processes host after host, with the coordinator on the first', () => {
    const planned = planProcesses({ ...common, hosts: ['me@a', 'b'], processes: 2 });
    expect(planned.map(({ index, host }) => [index, host])).toEqual([
      [0, 'me@a'],
      [1, 'me@a'],
      [2, 'b'],
      [3, 'b'],
    ]);
    expect(planned[3]?.variables).toEqual({
      NCCL_DEBUG: 'WARN',
      TB_COORDINATOR: 'a:61500',
      TB_PROCESSES: '4',
      TB_PROCESS: '3',
      TB_LOCAL_PROCESS: '1',
      TB_LOCAL_PROCESSES: '2',
      TB_JOB: 'launch x',
      TB_INCARNATION: '2',
    });
  });

  it('stays on this machine without hosts, and takes another address of the first host', () => {
    expect(planProcesses({ ...common, processes: 2 })[1]).toMatchObject({
      index: 1,
      variables: { TB_COORDINATOR: '127.0.0.1:61500' },
    });
    const [first] = planProcesses({ ...common, hosts: ['a'], coordinator: 'fd00::1', processes: 1 });
    expect(first?.variables.TB_COORDINATOR).toBe('[fd00::1]:61500');
  });
});

it('passes on what steers the program, and never the secret', () => {
  const environment = { TB_XLA_CACHE: 'c', TB_SECRET: 's', NCCL_DEBUG: 'WARN', HOME: '/', MORE: 'm', OTHER: 'o' };
  expect(passedVariables(environment, ['MORE'])).toEqual({ TB_XLA_CACHE: 'c', NCCL_DEBUG: 'WARN', MORE: 'm' });
});

describe('shellScript', () => {
  /** Runs it with an input that stays open, unless `end` is set. */
  function run(words: string[], input: string, { variables = {}, end = false } = {}) {
    const child = spawn('sh', ['-c', shellScript(words, variables, '/tmp')], { stdio: 'pipe' });
    child.stdin.write(input);
    if (end) child.stdin.end();
    let stdout = '';
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    return new Promise<[number | null, string]>((resolve) => child.on('close', (code) => resolve([code, stdout])));
  }

  it('runs a program with its words, variables, folder and secret as they are', async () => {
    const odd = `it's "$HOME" \\ *`;
    const print =
      'console.log(JSON.stringify([process.argv.slice(1), process.env.A, process.env.TB_SECRET, process.cwd()]))';
    const [code, stdout] = await run([process.execPath, '-e', print, odd], 'hush\n', { variables: { A: odd } });
    expect([JSON.parse(stdout), code]).toEqual([[[odd], odd, 'hush', '/tmp'], 0]);
  });

  it('returns the exit code, passes signals on, and ends the program with its input', async () => {
    expect(await run(['sh', '-c', 'exit 7'], 'secret\n')).toEqual([7, '']);
    expect(await run(['sh', '-c', 'kill -9 $$'], 'secret\n')).toEqual([137, '']);
    expect(await run(['sleep', '30'], 'secret\nTERM\n')).toEqual([143, '']);
    expect(await run(['sleep', '30'], 'secret\n', { end: true })).toEqual([143, '']);
    expect(await run(['sleep', '30'], '', { end: true })).toEqual([1, '']);
  });
});

it.each(['a', 'a b', "it's", '$x', '', '-n'])('quotes %j for a shell', (word) => {
  expect(spawnSync('sh', ['-c', `printf %s. ${quote(word)}`], { encoding: 'utf8' }).stdout).toBe(`${word}.`);
});

it.each([
  [{}, /--hosts or --processes is needed/],
  [{ hosts: ['a', 'a'] }, /--hosts names a host twice/],
  [{ hosts: ['-oProxyCommand=x'] }, /--hosts must be names or addresses/],
  [{ hosts: ['a;b'] }, /--hosts must be names or addresses/],
  [{ processes: 2, shrink: true }, /--shrink does nothing without --hosts/],
])('refuses %o', (flags, message) => {
  expect(() => resolveLaunch(flags)).toThrow(message);
});
