import { connect, createServer } from 'node:net';
import { hostname } from 'node:os';
import type { JobAddress } from '@tb/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../test/free-port.js';
import { KeyValueError, type OpenStore, openKeyValueStore } from './key-value-store.js';

const text = (value: string) => new TextEncoder().encode(value);

describe('openKeyValueStore', { timeout: 30_000 }, () => {
  const open: OpenStore[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close()));
  });
  async function start(port: number, index: number, more: Partial<JobAddress> = {}): Promise<OpenStore> {
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
    // The job fails when process 1 has not joined by then, and a busy machine takes seconds for the refusals.
    await start(port, 0, { job, connectTimeoutMilliseconds: 25_000 });
    const refused = (changes: Partial<JobAddress>) =>
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
      await new Promise((resolve) => socket.on('close', resolve)); // also after a reset, which `once` would throw
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
