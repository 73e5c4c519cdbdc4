import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../packages/xla/test/free-port.js';
import { startCommand } from './run-command.js';

const root = mkdtempSync(join(tmpdir(), 'tb-launch-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A program that prints who it is, and behaves as its argument states. */
const program = join(root, 'program.mjs');
writeFileSync(
  program,
  `import { appendFileSync } from 'node:fs';
  const { TB_PROCESS, TB_PROCESSES, TB_INCARNATION, TB_SECRET, TB_COORDINATOR } = process.env;
  const [mode, log] = process.argv.slice(2);
  console.log('process', TB_PROCESS, 'of', TB_PROCESSES, 'start', TB_INCARNATION, 'at', TB_COORDINATOR);
  appendFileSync(log, TB_SECRET + '\\n');
  const last = Number(TB_PROCESS) === Number(TB_PROCESSES) - 1;
  if (mode === 'killed' && last && TB_INCARNATION === '0') process.kill(process.pid, 'SIGKILL');
  if (mode === 'fails' && last) process.exit(3);
  const reacts = () => { console.error('the job has failed: a reason'); process.exit(75); };
  if (mode === 'killed' && TB_INCARNATION === '0') setTimeout(reacts, 100);
  if (mode === 'waits') {
    process.on('SIGTERM', () => process.exit(143));
    setTimeout(() => {}, 60_000);
    console.log('waiting');
  }`,
);
const node = (mode: string) => ['--', process.execPath, program, mode, join(root, 'log')];
const launch = (...args: string[]) => startCommand(['launch', ...args]);

describe('tb-train launch', { timeout: 60_000 }, () => {
  it('starts processes that know who they are, and prints what they print with their number', async () => {
    const { code, stdout } = await launch('--processes', '3', ...node('ends')).finished;
    expect(code).toBe(0);
    for (const index of [0, 1, 2])
      expect(stdout).toMatch(new RegExp(`^\\[${index}\\] process ${index} of 3 start 0 at 127.0.0.1:6\\d{4}$`, 'm'));
    const secrets = readFileSync(join(root, 'log'), 'utf8').trim().split('\n');
    expect(new Set(secrets).size).toBe(1);
    expect(secrets[0]).toMatch(/^[\da-f]{32}$/);
  });

  it('starts all again after a failure, and reports the cause once', async () => {
    const { code, stdout, stderr } = await launch('--processes', '3', '--restarts', '2', ...node('killed')).finished;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\[1\] process 1 of 3 start 1 /m);
    expect(stderr.match(/the job has failed: a reason/g)).toHaveLength(1);
    expect(stderr).toMatch(/^process 2 ended with SIGKILL; all start again \(1 of 2\)$/m);
  });

  it('gives up when there are no restarts left', async () => {
    const { code, stdout, stderr } = await launch('--processes', '2', '--restarts', '1', ...node('fails')).finished;
    expect(code).toBe(3);
    expect(stdout).not.toMatch(/start 2/);
    expect(stderr).toMatch(/process 1 ended with exit code 3; all restarts \(--restarts 1\) are used up/);
  });

  it('does not wait for what a process that was killed has left behind', async () => {
    const behind = `sleep 30 & [ $TB_PROCESS = 0 ] && [ $TB_INCARNATION = 0 ] && kill -9 $$; exit 0`;
    const begin = performance.now();
    const { code } = await launch('--processes', '2', '--restarts', '1', '--', 'sh', '-c', behind).finished;
    expect([code, performance.now() - begin < 20_000]).toEqual([0, true]);
  });

  it('passes SIGTERM on to all, and ends as they do', async () => {
    const { child, finished } = launch('--processes', '2', '--restarts', '5', ...node('waits'));
    let seen = '';
    child.stdout.on('data', (data) => {
      seen += data;
    });
    while ((seen.match(/waiting/g) ?? []).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGTERM');
    expect((await finished).code).toBe(143);
  });
});

const sshd = '/usr/sbin/sshd';
const hasSshd = existsSync(sshd) && spawnSync('ssh', ['-V']).status === 0;
if (!hasSshd) console.warn('the ssh launcher is not tested: there is no sshd');

describe.runIf(hasSshd)('tb-train launch --hosts', { timeout: 60_000 }, () => {
  let server: ReturnType<typeof spawn>;
  let ssh: string;
  beforeAll(async () => {
    const port = await freePort();
    for (const name of ['host', 'key'])
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(root, name)], { stdio: 'inherit' });
    writeFileSync(join(root, 'keys'), readFileSync(join(root, 'key.pub')), { mode: 0o600 });
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(root, 'host')}`,
      `AuthorizedKeysFile ${join(root, 'keys')}`,
      `PidFile ${join(root, 'pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
    ];
    writeFileSync(join(root, 'config'), config.join('\n'));
    if (userInfo().uid === 0) spawnSync('mkdir', ['-p', '/run/sshd']);
    server = spawn(sshd, ['-D', '-f', join(root, 'config')], { stdio: 'ignore' });
    ssh = `ssh -p ${port} -i ${join(root, 'key')} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`;
    while (spawnSync('sh', ['-c', `${ssh} -o BatchMode=yes 127.0.0.1 true`]).status !== 0)
      await new Promise((resolve) => setTimeout(resolve, 50));
  });
  afterAll(() => server?.kill());

  const common = () => ['--hosts', '127.0.0.1,localhost', '--ssh', ssh, '--folder', root];

  it('starts processes on hosts, and again after one was killed', async () => {
    const { code, stdout, stderr } = await launch(...common(), '--restarts', '1', ...node('killed')).finished;
    expect(stderr).toMatch(/^process 1 on localhost ended with SIGKILL; all start again \(1 of 1\)$/m);
    expect(stdout).toMatch(/^\[1\] process 1 of 2 start 1 at 127.0.0.1:6\d{4}$/m);
    expect(code).toBe(0);
  });

  it('ends what runs on a host when the launcher is gone', async () => {
    const { child, finished } = launch(...common(), ...node('waits'));
    let seen = '';
    child.stdout.on('data', (data) => {
      seen += data;
    });
    while ((seen.match(/waiting/g) ?? []).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGKILL');
    await finished;
    const isRunning = () => spawnSync('pgrep', ['-f', `${program} waits`]).status === 0;
    while (isRunning()) await new Promise((resolve) => setTimeout(resolve, 50));
  });

  it('reports a host that cannot be reached', async () => {
    const { code, stderr } = await launch('--hosts', '127.0.0.1', '--ssh', 'ssh -p 1', ...node('ends')).finished;
    expect(code).toBe(255);
    expect(stderr).toMatch(/process 0 on 127.0.0.1 is lost: ssh cannot reach the host, or lost the connection/);
  });
});
