import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { KeyValueError, type OpenStore, openKeyValueStore, type StoreOptions } from './key-value-store.js';

const text = (value: string) => new TextEncoder().encode(value);

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

describe('openKeyValueStore', { timeout: 30_000 }, () => {
  const open: OpenStore[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close()));
  });
  async function start(port: number, index: number, more: Partial<StoreOptions> = {}): Promise<OpenStore> {
    const address = { host: '127.0.0.1', port, index, count: 2, connectTimeoutMilliseconds: 5000 };
    const store = await openKeyValueStore({ ...address, ...more });
    open.push(store);
    return store;
  }

  it('shows every client what one has put', async () => {
    const port = await freePort();
    const late = start(port, 1); // tries until the server is there
    const [server, client] = [await start(port, 0), await late];
    expect(client.client.tryGet('topology')).toBeUndefined();
    server.client.put('topology', Uint8Array.of(0, 255, 10));
    expect(client.client.tryGet('topology')).toEqual(Uint8Array.of(0, 255, 10));
    expect(client.client.get('topology', { timeoutMs: 1000 })).toEqual(Uint8Array.of(0, 255, 10));
    const large = new Uint8Array(300_000).fill(7); // replaces it; larger than a socket's buffer
    client.client.put('topology', large);
    expect(Buffer.compare(server.client.get('topology', { timeoutMs: 5000 }), large)).toBe(0);
    server.client.put('empty', text(''));
    expect(client.client.tryGet('empty')).toEqual(text(''));
  });

  it('waits for a key, and no longer than asked', async () => {
    const store = await start(await freePort(), 0, { count: 1 });
    const begin = performance.now();
    expect(() => store.client.get('never', { timeoutMs: 150 })).toThrow(
      new KeyValueError('DEADLINE_EXCEEDED', 'get never'),
    );
    expect(performance.now() - begin).toBeGreaterThan(140);
  });

  it('reports that there is no server, or no free port', async () => {
    const port = await freePort();
    await expect(start(port, 1, { connectTimeoutMilliseconds: 300 })).rejects.toThrow(
      `127.0.0.1:${port} cannot be reached: connect ECONNREFUSED`,
    );
    await start(port, 0, { count: 1 });
    await expect(start(port, 0)).rejects.toThrow('cannot serve');
  });

  it('refuses strangers, other jobs and earlier starts, and waits for the end of an earlier start', async () => {
    const port = await freePort();
    const job = { name: 'ours', incarnation: 1, secret: 'secret' };
    await start(port, 0, { job });
    const refused = (changes: Partial<StoreOptions>) =>
      start(port, 1, { job, connectTimeoutMilliseconds: 300, ...changes }).catch((error: Error) => error.message);
    expect(await refused({ job: { ...job, secret: 'other' } })).toMatch(/refuses process 1: it has another secret/);
    expect(await refused({ job: { name: 'ours', incarnation: 1 } })).toMatch(/it has another secret/);
    expect(await refused({ job: { ...job, name: 'theirs' } })).toMatch(/belongs to another job/);
    expect(await refused({ job: { ...job, incarnation: 0 } })).toMatch(/this process belongs to an earlier start/);
    expect(await refused({ job: { ...job, incarnation: 2 } })).toMatch(/the earlier start of the job has not ended/);
    expect(await refused({ count: 3 })).toMatch(/it has another number of processes/);
    await start(port, 1, { job });
    expect(await refused({})).toMatch(/process 1 \(host .*, PID \d+\), last step 0, starting, has joined already/);
  });

  it('survives what else connects, and recognizes what is not a store', async () => {
    const port = await freePort();
    const store = await start(port, 0, { count: 1 });
    for (const sent of ['GET / HTTP/1.1\n\n', '{"put":1}\n', 'null\n', '[]\n', 'x'.repeat(100_000), '\n', '']) {
      const socket = connect(port, '127.0.0.1', () => socket.end(sent));
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'close');
    }
    store.client.put('still', text('there'));
    expect(store.client.tryGet('still')).toEqual(text('there'));
    const other = createServer((socket) => socket.end('{"hello":1}\n')).listen(0);
    const { port: otherPort } = other.address() as { port: number };
    await expect(start(otherPort, 1)).rejects.toThrow('is not the store of a job');
    other.close();
  });

  it('fails for all when one process cannot continue', async () => {
    const port = await freePort();
    const [server, client] = [await start(port, 0), await start(port, 1)];
    const reason = new RegExp(`process 1 \\(host ${hostname()}, PID ${process.pid}\\), last step 3, failed: too large`);
    client.report({ step: 3 });
    await new Promise((resolve) => setTimeout(resolve, 2200)); // a heartbeat carries it
    client.fail('too large');
    expect(() => server.client.get('never', { timeoutMs: 5000 })).toThrow(reason);
    expect(() => client.client.get('never', { timeoutMs: 5000 })).toThrow(reason);
  });
});

type Fake = { child: ChildProcess; output: () => string; ended: Promise<number | string> };

/** A process of a job, which `test/fake-job.ts` runs. */
function startFake(port: number, index: number, { count = 2, steps = 100_000, hangAt = 0 } = {}): Fake {
  const script = fileURLToPath(new URL('../../test/fake-job.ts', import.meta.url));
  const args = ['127.0.0.1', port, index, count, steps, hangAt].map(String);
  const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=@tb/source', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (output += data));
  const ended = new Promise<number | string>((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal!)),
  );
  return { child, output: () => output, ended };
}

async function untilStep(fake: Fake, step: number): Promise<void> {
  while (!fake.output().includes(`step ${step}\n`)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe.concurrent('a job of two processes', { timeout: 60_000 }, () => {
  it('ends when all have finished', async () => {
    const port = await freePort();
    const fakes = [0, 1].map((index) => startFake(port, index, { steps: 3 }));
    expect(await Promise.all(fakes.map(({ ended }) => ended))).toEqual([0, 0]);
  });

  it.each([
    [0, 'SIGKILL', /the job has failed: process 0 at 127.0.0.1:\d+, last step [1-9]\d*, .* has ended without notice/],
    [1, 'SIGKILL', /the job has failed: process 1 \(host .*, PID \d+\), last step [1-9]\d*, has ended without notice/],
    [0, 'SIGSTOP', /the job has failed: process 0 at .*, last step [1-9]\d*, .* has not been heard of for \d s/],
    [1, 'SIGSTOP', /the job has failed: process 1 \(.*\), last step [1-9]\d*, has not been heard of for \d s/],
  ] as const)('ends with one sentence after process %i got %s', async (index, signal, sentence) => {
    const port = await freePort();
    const fakes = [0, 1].map((each) => startFake(port, each));
    await untilStep(fakes[0]!, 20);
    fakes[index]!.child.kill(signal);
    const survivor = fakes[1 - index]!;
    expect(await survivor.ended).toBe(75);
    expect(survivor.output()).toMatch(sentence);
    fakes[index]!.child.kill('SIGCONT'); // what wakes up afterwards ends, too
    const code = await fakes[index]!.ended;
    expect(code).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 75);
  });

  it('ends when a process hangs, also that process, whose thread never returns', async () => {
    const port = await freePort();
    const [first, second] = [startFake(port, 0), startFake(port, 1, { hangAt: 5 })];
    expect(await first.ended).toBe(75);
    expect(first.output()).toMatch(/process 1 \(.*\), last step 4, makes no progress for \d s/);
    expect(await second.ended).toBe('SIGKILL');
    expect(second.output()).toMatch(/the job has failed: process 1 .* makes no progress/);
  });
});
