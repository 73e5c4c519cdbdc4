import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { KeyValueError, type OpenStore, openKeyValueStore } from './key-value-store.js';

const text = (value: string) => new TextEncoder().encode(value);

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

describe('openKeyValueStore', () => {
  const open: OpenStore[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((store) => store.close()));
  });
  async function start(port: number, serve: boolean): Promise<OpenStore> {
    const store = await openKeyValueStore({ host: '127.0.0.1', port, serve, connectTimeoutMilliseconds: 5000 });
    open.push(store);
    return store;
  }

  it('shows every client what one has put', async () => {
    const port = await freePort();
    const late = start(port, false); // tries until the server is there
    const [server, client] = [await start(port, true), await late];
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
    const store = await start(await freePort(), true);
    const begin = performance.now();
    expect(() => store.client.get('never', { timeoutMs: 150 })).toThrow(
      new KeyValueError('DEADLINE_EXCEEDED', 'get never'),
    );
    expect(performance.now() - begin).toBeGreaterThan(140);
  });

  it('reports that the server is lost', async () => {
    const port = await freePort();
    const server = await start(port, true);
    const client = await start(port, false);
    await server.close();
    expect(() => client.client.put('key', text('value'))).toThrow('UNAVAILABLE');
  });

  it('reports that there is no server, or no free port', async () => {
    const port = await freePort();
    const options = { host: '127.0.0.1', port, connectTimeoutMilliseconds: 300 };
    await expect(openKeyValueStore({ ...options, serve: false })).rejects.toThrow(`cannot reach 127.0.0.1:${port}`);
    await start(port, true);
    await expect(openKeyValueStore({ ...options, serve: true })).rejects.toThrow('cannot serve');
  });
});
