/** A group of PJRT clients, on plugins of JavaScript callbacks, one after another in this process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessStore } from '@tb/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient } from '../src/pjrt/client.js';
import { executorOfClient, type PjrtExecutor } from '../src/pjrt/pjrt-executor.js';
import { adoptPlugin } from '../src/pjrt/plugin.js';
import { createStandIn, type StandIn } from './stand-in-plugin.js';

const pair = { type: 'f32', shape: [2] } as const;
const request = { replicas: 4, inputs: [pair], outputs: [pair] };

/** A store within one thread: requests never wait, and values stay. */
function patientStore(): ProcessStore & { keys(): string[] } {
  const values = new Map<string, Uint8Array>();
  return {
    put: (key, value) => void (value.length > 0 && values.set(key, value.slice())),
    get(key) {
      const value = key.includes('/taken/') ? Uint8Array.of(1) : values.get(key);
      if (!value) throw new Error(`DEADLINE_EXCEEDED: get ${key}`);
      return value;
    },
    tryGet: (key) => values.get(key),
    keys: () => [...values.keys()],
  };
}

describe('programs of a group', () => {
  const opened: { standIn: StandIn; executor?: PjrtExecutor }[] = [];
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'shared-programs-'));
  });
  afterEach(() => {
    for (const { standIn, executor } of opened.splice(0)) {
      executor?.dispose();
      standIn.close();
    }
    rmSync(folder, { recursive: true });
  });

  function open(store: ProcessStore, index: number, devices = [2, 2], cache = false) {
    const standIn = createStandIn({ group: { index, devices } });
    const plugin = adoptPlugin(standIn.table, { path: 'stand-in', source: 'test' });
    const callbacks = { kv_get_callback: 1n, kv_try_get_callback: 2n, kv_put_callback: 3n };
    const rendezvous = {
      index,
      count: devices.length,
      store,
      callbacks,
      report: () => {},
      fail: () => {},
      close: async () => {},
    };
    const member: (typeof opened)[number] = { standIn };
    opened.push(member);
    const executor = executorOfClient(createClient(plugin, { rendezvous }), cache ? folder : undefined);
    member.executor = executor;
    return { standIn, executor };
  }

  it('are compiled only by process 0, for the devices of all', () => {
    const store = patientStore();
    const [first, second] = [open(store, 0), open(store, 1)];
    expect(second.standIn.options).toEqual({ node_id: 1n, num_nodes: 2n });
    const programs = [first, second].map(({ executor }) => executor.compile('results=1', request));
    expect(programs.map(({ cached, replicas }) => [cached, replicas])).toEqual([
      [false, 4],
      [true, 4],
    ]);
    expect([first.standIn.compilations, second.standIn.compilations]).toEqual([1, 0]);
    // The device assignment: replicas 0 to 3 on ids 0, 1, 2048 and 2049, as varints.
    expect(Buffer.from(first.standIn.lastOptions).toString('hex')).toContain('0001801081 10'.replace(' ', ''));

    const { executor } = second;
    const inputs = [0, 1].map((device) => [executor.upload(Float32Array.of(device * 10, 0), pair, device)]);
    const outputs = executor.execute(programs[1]!, inputs).map(([buffer]) => [...executor.downloadSync(buffer!)]);
    expect(outputs).toEqual([
      [1, 1],
      [11, 1],
    ]);
    expect(() => executor.execute(programs[1]!, [inputs[0]!])).toThrow('one list per replica (2), got 1');
  });

  it('come from the cache folder of process 0, again and again', () => {
    const store = patientStore();
    const [first, second] = [open(store, 0, [2, 2], true), open(store, 1)];
    const compile = () => [first, second].map(({ executor }) => executor.compile('results=1', request).cached);
    expect([compile(), compile()]).toEqual([
      [false, true],
      [true, true],
    ]);
    expect(store.keys().filter((key) => /^binary\/\w+\/[01]$/.test(key))).toHaveLength(2);
  });

  it('are compiled by each process where the plugin cannot serialize, or they have one replica', () => {
    const store = patientStore();
    const [first, second] = [open(store, 0), open(store, 1)];
    first.standIn.failNext('Executable_Serialize', { code: 12, message: 'not here' });
    for (const { executor } of [first, second]) executor.compile('results=1', request);
    expect([first.standIn.compilations, second.standIn.compilations]).toEqual([1, 1]);
    second.executor.compile('results=1', { ...request, replicas: 1 });
    expect(second.standIn.compilations).toBe(2);
    expect(Buffer.from(second.standIn.lastOptions).toString('hex')).toMatch(/8010$/); // its own device
  });

  it('fail in all processes for the reason of process 0', () => {
    const store = patientStore();
    const [first, second] = [open(store, 0), open(store, 1)];
    expect(() => first.executor.compile('gibberish', request)).toThrow('cannot parse "gibberish"');
    expect(() => second.executor.compile('gibberish', request)).toThrow('process 0: PJRT_Client_Compile');
    expect(() => second.executor.compile('results=1', request)).toThrow('DEADLINE_EXCEEDED');
  });

  it('need equally many devices of every process', () => {
    const store = patientStore();
    expect(() => open(store, 0, [2, 3])).toThrow(
      'every process must have as many devices as process 0 (2), process 1 has 3',
    );
    const { executor } = open(store, 0);
    expect(() => executor.compile('results=1', { ...request, replicas: 3 })).toThrow(
      'replicas must be 1 or a multiple of the 2 processes, got 3',
    );
    expect(() => executor.compile('results=1', { ...request, replicas: 6 })).toThrow(
      'the number of devices (4), got 6',
    );
  });
});
