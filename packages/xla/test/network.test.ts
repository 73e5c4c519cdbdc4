/** A job whose processes are on two hosts: network namespaces, joined by a cable. They need root and `ip`. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const names = [0, 1].map((host) => `tb-${process.pid}-${host}`);
const cables = [0, 1].map((host) => `tb${process.pid % 1e6}.${host}`);
const run = (...words: string[]) => spawnSync(words[0]!, words.slice(1)).status === 0;
const inHost = (host: number, ...words: string[]) => run('ip', '-n', names[host]!, ...words);

function connectHosts(): boolean {
  const made = names.every((name) => run('ip', 'netns', 'add', name));
  if (!made || !run('ip', 'link', 'add', cables[0]!, 'type', 'veth', 'peer', 'name', cables[1]!)) return false;
  return [0, 1].every(
    (host) =>
      run('ip', 'link', 'set', cables[host]!, 'netns', names[host]!) &&
      inHost(host, 'addr', 'add', `10.77.0.${host + 1}/24`, 'dev', cables[host]!) &&
      inHost(host, 'link', 'set', 'lo', 'up') &&
      inHost(host, 'link', 'set', cables[host]!, 'up'),
  );
}

const removeHosts = () => {
  for (const name of names) run('ip', 'netns', 'del', name);
};

const hasNamespaces = process.getuid?.() === 0 && connectHosts();
removeHosts();
if (!hasNamespaces) console.warn('jobs across hosts are not tested: network namespaces cannot be made here');

describe.skipIf(!hasNamespaces)('a job on two hosts', { timeout: 60_000 }, () => {
  beforeAll(() => {
    connectHosts();
  });
  afterAll(removeHosts);

  function start(host: number, address: string, port: number): { output: () => string; ended: Promise<number | null> } {
    const script = fileURLToPath(new URL('./fake-job.ts', import.meta.url));
    const words = ['--import', 'tsx', '--conditions=@tb/source', script, address, port, host, 2, 100_000].map(String);
    const child: ChildProcess = spawn('ip', ['netns', 'exec', names[host]!, process.execPath, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (data) => {
        output += data;
      });
    }
    return { output: () => output, ended: new Promise((resolve) => child.on('close', resolve)) };
  }

  it('ends on both when the cable is cut', async () => {
    const [first, second] = [start(0, '10.77.0.1', 61_001), start(1, '10.77.0.1', 61_001)];
    while (!second.output().includes('step 10\n')) await new Promise((resolve) => setTimeout(resolve, 50));
    inHost(1, 'link', 'set', cables[1]!, 'down');
    expect(await Promise.all([first.ended, second.ended])).toEqual([75, 75]);
    expect(first.output()).toMatch(/process 1 \(.*\), last step \d+, has not been heard from for \d s/);
    expect(second.output()).toMatch(/process 0 at 10.77.0.1:61001, last step \d+, .* has not been heard from for \d s/);
    inHost(1, 'link', 'set', cables[1]!, 'up');
  });

  it('reports an address that belongs to neither', async () => {
    const [first, second] = [start(0, '10.77.0.9', 61_002), start(1, '10.77.0.9', 61_002)];
    expect(await Promise.all([first.ended, second.ended])).toEqual([1, 1]);
    for (const { output } of [first, second]) expect(output()).toMatch(/10.77.0.9:61002 cannot be reached: connect /);
  });
});
