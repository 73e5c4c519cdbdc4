import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../test/free-port.js';
import { koffi } from './koffi.js';
import { blockOf, configureStacks, readText } from './memory.js';
import { openRendezvous, type Rendezvous } from './rendezvous.js';
import { allocateStruct, type Inputs, readFields, type Struct, Structs, writeFields } from './structs.js';

configureStacks();
const functionType = koffi.proto('uint64_t', ['uint64_t']);
const deleterType = koffi.proto('void', ['uint64_t']);
const errorType = koffi.proto('uint64_t', ['int', 'uint64_t', 'uint64_t']);

// The callbacks are called as a plugin calls them: by address, from a thread that is not theirs.
describe('openRendezvous', () => {
  let processes: Rendezvous[];
  beforeAll(async () => {
    const port = await freePort();
    const options = { host: '127.0.0.1', port, count: 2, connectTimeoutMilliseconds: 5000 };
    processes = await Promise.all([openRendezvous({ ...options, index: 1 }), openRendezvous({ ...options, index: 0 })]);
  });
  afterAll(async () => {
    for (const process of processes) await process.close();
  });

  const errors: [code: number, message: string][] = [];
  const callbackError = koffi.register((code: number, message: bigint | number, size: bigint | number) => {
    errors.push([code, readText(BigInt(message), Number(size))]);
    return 99n;
  }, koffi.pointer(errorType));
  afterAll(() => koffi.unregister(callbackError));

  function prepare(layout: Struct, key: string, more: Inputs<Struct['fields']> = {}) {
    const block = allocateStruct(layout);
    const keyBlock = blockOf(key);
    writeFields(block.view, layout, {
      key: keyBlock.address,
      key_size: keyBlock.length,
      callback_error: callbackError,
      ...more,
    });
    return { block, keyBlock };
  }

  function put({ callbacks }: Rendezvous, key: string, value: string): void {
    const valueBlock = blockOf(value);
    const { block } = prepare(Structs.KeyValuePut, key, { value: valueBlock.address, value_size: valueBlock.length });
    expect(Number(koffi.call(callbacks.kv_put_callback, functionType, block.address))).toBe(0);
    expect(valueBlock.length).toBe(value.length); // keeps it alive until here
  }

  function takeValue(block: { view: DataView }): string {
    const { value, value_size, value_deleter_callback } = readFields(block.view, Structs.KeyValueGet);
    const text = readText(value, Number(value_size));
    koffi.call(value_deleter_callback, deleterType, value);
    return text;
  }

  it('carries values from one process to the other', () => {
    const [second, first] = processes as [Rendezvous, Rendezvous];
    put(first, 'cuda:topology', 'two hosts');
    const { block } = prepare(Structs.KeyValueGet, 'cuda:topology', { timeout_in_ms: 2000 });
    expect(Number(koffi.call(second.callbacks.kv_get_callback, functionType, block.address))).toBe(0);
    expect(takeValue(block)).toBe('two hosts');
    expect(new TextDecoder().decode(second.store.get('cuda:topology', { timeoutMs: 1000 }))).toBe('two hosts');
  });

  it('waits without stopping the main thread', async () => {
    const [second, first] = processes as [Rendezvous, Rendezvous];
    const { block, keyBlock } = prepare(Structs.KeyValueGet, 'late', { timeout_in_ms: 10_000 });
    const call = koffi.decode(second.callbacks.kv_get_callback, functionType);
    const done = new Promise<number>((resolve, reject) => {
      call.async(block.address, (problem: unknown, error: number) => (problem ? reject(problem) : resolve(error)));
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    put(first, 'late', 'here');
    expect(await done).toBe(0);
    expect(takeValue(block)).toBe('here');
    expect(keyBlock.length).toBe(4);
  });

  it("reports through PJRT's own error function", async () => {
    const { callbacks } = processes[0]!;
    const { block, keyBlock } = prepare(Structs.KeyValueTryGet, 'absent');
    const call = koffi.decode(callbacks.kv_try_get_callback, functionType);
    // The error function of this test is JavaScript on the main thread, which must be free to run it.
    const result = await new Promise((resolve) => {
      call.async(block.address, (_: unknown, error: number) => resolve(error));
    });
    expect(Number(result)).toBe(99);
    expect(errors).toEqual([[5, 'absent is not in the store']]);
    expect(keyBlock.length).toBe(6);
  });

  it.each([
    [{ index: 2, count: 2, port: 1234 }, 'index must be from 0 to 1, got 2'],
    [{ index: 0, count: 0, port: 1234 }, 'count must be at least 1, got 0'],
    [{ index: 0, count: 1, port: 0 }, 'port must be from 1 to 65535, got 0'],
  ])('refuses %o', async (options, message) => {
    await expect(openRendezvous({ host: 'localhost', ...options })).rejects.toThrow(message);
  });
});
