import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { profile, registerBackend } from '../src/index.js';
import { koffi } from '../src/pjrt/koffi.js';
import { allocate, type Block, blockOf, viewMemory } from '../src/pjrt/memory.js';
import { createProfiler } from '../src/pjrt/profiler.js';
import { createFakeExecutor } from './fake-executor.js';

const functionType = koffi.proto('uint64_t', ['uint64_t']);
/** One plane named `GPU`, as a message of two fields: the lengths count what follows them. */
const recording = Uint8Array.of(0x0a, 5, 0x12, 3, 0x47, 0x50, 0x55, 0x22, 1, 0x68);

/** A plugin's function table that has nothing but a chain of extensions, the profiler second. */
function createStandIn(has = true) {
  const calls: string[] = [];
  const failing = new Set<string>();
  const kept: Block[] = [];
  const callbacks: bigint[] = [];
  const address = (block: Block) => {
    kept.push(block);
    return block.address;
  };
  const block = (size: number, fields: Record<number, bigint>) => {
    const made = allocate(size);
    for (const [offset, value] of Object.entries(fields)) made.view.setBigUint64(Number(offset), value, true);
    return address(made);
  };
  const message = blockOf('another one runs');
  const bodies: Record<string, (view: DataView) => void> = {
    error_destroy: () => undefined,
    error_message: (view) => {
      view.setBigUint64(24, address(message), true);
      view.setBigUint64(32, BigInt(message.length), true);
    },
    error_get_code: (view) => view.setInt32(24, 6, true),
    create: (view) => {
      const options = viewMemory(view.getBigUint64(8, true), Number(view.getBigUint64(16, true)));
      expect([options.getUint8(2), options.getUint8(3)]).toEqual([0x18, 1]); // the device is traced
      view.setBigUint64(24, 77n, true);
    },
    destroy: () => undefined,
    start: () => undefined,
    stop: () => undefined,
    collect_data: (view) => {
      view.setBigUint64(16, address(blockOf(recording)), true);
      view.setBigUint64(24, BigInt(recording.length + 1), true); // with a zero behind, as XLA's plugin has it
    },
  };
  const api = allocate(80);
  Object.entries(bodies).forEach(([name, body], index) => {
    const callback = koffi.register((argument: number | bigint) => {
      calls.push(name);
      body(viewMemory(BigInt(argument), 40));
      return failing.has(name) ? 99n : 0n;
    }, koffi.pointer(functionType));
    callbacks.push(callback);
    api.view.setBigUint64(16 + 8 * index, callback, true);
  });
  const profiler = block(40, { 0: 40n, 8: 1n, 24: address(api) });
  const other = block(24, { 0: 24n, 8: 3n, 16: has ? profiler : 0n });
  const table = block(16, { 0: 16n, 8: other });
  return { table, calls, failing, close: () => callbacks.forEach(koffi.unregister), kept };
}

describe('createProfiler', () => {
  it('records, and cuts off what is not part of the recording', () => {
    const standIn = createStandIn();
    const profiler = createProfiler(standIn.table);
    profiler.start();
    expect(profiler.finish()).toEqual(recording);
    profiler.dispose();
    expect(standIn.calls).toEqual(['create', 'start', 'stop', 'collect_data', 'destroy']);
    standIn.close();
  });

  it('throws the plugin’s reason, and reports a plugin without a profiler', () => {
    const standIn = createStandIn();
    standIn.failing.add('start');
    const profiler = createProfiler(standIn.table);
    expect(() => profiler.start()).toThrow('PLUGIN_Profiler_start: ALREADY_EXISTS: another one runs');
    expect(standIn.calls.at(-1)).toBe('error_destroy');
    standIn.close();
    const without = createStandIn(false);
    expect(() => createProfiler(without.table)).toThrow('UNIMPLEMENTED: the plugin has no profiler');
    without.close();
  });
});

describe('profile', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'profile-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('writes what TensorBoard reads, and ends the recording when the function fails', async () => {
    const standIn = createStandIn();
    registerBackend(Object.assign(createFakeExecutor(), { plugin: { table: standIn.table } }));
    await tf.setBackend('xla');
    expect(await profile(folder, () => 'done')).toBe('done');
    const [time] = readdirSync(join(folder, 'plugins', 'profile'));
    expect(time).toMatch(/^\d{8}_\d{6}$/);
    const [file, ...others] = readdirSync(join(folder, 'plugins', 'profile', time));
    expect(others).toEqual([]);
    expect(file).toMatch(/\.xplane\.pb$/);
    expect(new Uint8Array(readFileSync(join(folder, 'plugins', 'profile', time, file)))).toEqual(recording);
    const failure = profile(folder, () => Promise.reject(new Error('out of memory')));
    await expect(failure).rejects.toThrow('out of memory');
    expect(standIn.calls.slice(-4)).toEqual(['start', 'stop', 'collect_data', 'destroy']);
    standIn.close();
  });

  it('needs the xla backend', async () => {
    await useBackend('cpu');
    await expect(profile(folder, () => 1)).rejects.toThrow(
      'profile: the backend must be xla on a PJRT plugin, got cpu',
    );
  });
});
