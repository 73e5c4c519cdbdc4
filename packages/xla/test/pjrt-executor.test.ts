import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultCacheFolder, openProgramCache } from '../src/pjrt/cache.js';
import { type ClientOptions, createClient } from '../src/pjrt/client.js';
import { PjrtError } from '../src/pjrt/errors.js';
import { createPjrtExecutor, executorOfClient, type PjrtExecutor } from '../src/pjrt/pjrt-executor.js';
import { adoptPlugin } from '../src/pjrt/plugin.js';
import { createStandIn, type StandIn, type StandInOptions } from './stand-in-plugin.js';

const pair = { type: 'f32', shape: [2] } as const;
const twoResults = { inputs: [pair], outputs: [pair, pair] };
const nothingLeft = { error: 0 };

describe('the PJRT binding, on a plugin of JavaScript callbacks', () => {
  let standIn: StandIn;
  let executor: PjrtExecutor;
  let folder: string;

  function open(options: StandInOptions & { cache?: boolean; client?: ClientOptions } = {}): void {
    standIn = createStandIn(options);
    const plugin = adoptPlugin(standIn.table, { path: 'stand-in', source: 'test' });
    executor = executorOfClient(createClient(plugin, options.client), options.cache ? folder : undefined);
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'program-cache-'));
  });
  afterEach(() => {
    executor.dispose();
    expect(standIn.live()).toEqual(nothingLeft);
    standIn.close();
    rmSync(folder, { recursive: true });
    vi.restoreAllMocks();
  });

  it('reads the plugin, its platform and its devices', () => {
    open({ devices: 3 });
    expect(executor).toMatchObject({ platform: 'stand-in', deviceKind: 'Stand-in accelerator', deviceCount: 3 });
    expect(executor.plugin.api.version).toEqual({ major: 0, minor: 115 });
    expect(executor.plugin.attributes).toEqual({ stablehlo_current_version: [1, 17, 0] });
  });

  it('uploads, runs and downloads, and leaves nothing behind', async () => {
    open();
    const program = executor.compile('results=2', twoResults);
    const input = executor.upload(Float32Array.of(1, 2), pair);
    const [[first, second]] = executor.execute(program, [[input]]) as [[typeof input, typeof input]];
    expect(executor.downloadSync(first)).toEqual(Float32Array.of(2, 3));
    expect(await executor.download(second)).toEqual(Float32Array.of(2, 3));
    expect(executor.memory()).toEqual({ bytesInUse: 24, peakBytesInUse: 24, bytesLimit: 2 ** 40 });
    for (const buffer of [input, first, second]) executor.free(buffer);
    executor.free(first); // twice does nothing
    program.dispose();
    expect(standIn.live()).toEqual({ error: 0, client: 1 });
    expect(() => executor.execute(program, [[input]])).toThrow('the executable was disposed');
  });

  it('downloads many at once', async () => {
    open();
    const buffers = Array.from({ length: 20 }, (_, index) => executor.upload(Float32Array.of(index, 0), pair));
    const values = await Promise.all(buffers.map((buffer) => executor.download(buffer)));
    expect(values.map(([value]) => value)).toEqual(buffers.map((_, index) => index));
  });

  it('frees donated buffers and refuses them afterwards', () => {
    open();
    const program = executor.compile('results=1', { inputs: [pair], outputs: [pair] });
    const input = executor.upload(Float32Array.of(1, 2), pair);
    const [[output]] = executor.execute(program, [[input]], [0]) as [[typeof input]];
    expect(standIn.live().buffer).toBe(1);
    expect(() => executor.execute(program, [[input]])).toThrow('execute: the buffer was freed or donated');
    expect(() => executor.downloadSync(input)).toThrow('downloadSync: the buffer was freed or donated');
    expect([...executor.downloadSync(output)]).toEqual([2, 3]);
  });

  it('runs replicas, each on its device', () => {
    open({ devices: 2 });
    const program = executor.compile('results=1', { replicas: 2, inputs: [pair], outputs: [pair] });
    const inputs = [0, 1].map((device) => [executor.upload(Float32Array.of(device * 10, 0), pair, device)]);
    const outputs = executor.execute(program, inputs).map(([buffer]) => [...executor.downloadSync(buffer!)]);
    expect(outputs).toEqual([
      [1, 1],
      [11, 1],
    ]);
    expect(() => executor.execute(program, [inputs[1]!, inputs[0]!])).toThrow('an argument lies on another device');
    expect(() => executor.execute(program, [inputs[0]!])).toThrow('one list per replica (2), got 1');
    expect(() => executor.compile('results=1', { replicas: 3, inputs: [], outputs: [] })).toThrow('at most the number');
  });

  it("takes a newer plugin's longer structs", () => {
    const structSizes = {
      PJRT_ExecuteOptions: 120,
      PJRT_LoadedExecutable_Execute_Args: 96,
      PJRT_Program: 64,
      PJRT_Client_Create_Args: 104,
    };
    open({ structSizes });
    const program = executor.compile('results=1', { inputs: [pair], outputs: [pair] });
    const input = executor.upload(Float32Array.of(1, 2), pair);
    for (let step = 0; step < 2; step += 1) {
      const [[output]] = executor.execute(program, [[input]]) as [[typeof input]];
      expect([...executor.downloadSync(output)]).toEqual([2, 3]);
    }
  });

  it("throws the plugin's own message and code", () => {
    open();
    expect(() => executor.compile('gibberish', twoResults)).toThrow(
      'PJRT_Client_Compile: INVALID_ARGUMENT: cannot parse "gibberish"',
    );
    expect(() => executor.compile('results=1', twoResults)).toThrow(
      "outputs must describe the module's 1 results, got 2",
    );
    expect(() => executor.upload(Float32Array.of(1), pair)).toThrow('data must be 2 elements of 4 bytes');
  });

  it('reports a failed program where its result is read', async () => {
    open();
    const input = executor.upload(Float32Array.of(1, 2), pair);
    standIn.failNext('Event_Await', { code: 13, message: 'the device failed' });
    expect(() => executor.downloadSync(input)).toThrow('INTERNAL: the device failed');
    standIn.failNext('Event_Await', { code: 13, message: 'again' });
    await expect(executor.download(input)).rejects.toBeInstanceOf(PjrtError);
    expect([...(await executor.download(input))]).toEqual([1, 2]);
  });

  it('explains an exhausted memory', () => {
    open();
    const program = executor.compile('results=1', { inputs: [pair], outputs: [pair] });
    const input = executor.upload(Float32Array.of(1, 2), pair);
    standIn.failNext('LoadedExecutable_Execute', { code: 8, message: 'out of memory' });
    expect(() => executor.execute(program, [[input]])).toThrow('needs 3.00 GiB of scratch memory');
  });

  it('names a function that an old plugin lacks', () => {
    open({ without: ['Executable_GetCompiledMemoryStats', 'Device_MemoryStats'] });
    const program = executor.compile('results=1', { inputs: [pair], outputs: [pair] });
    expect(program.memory()).toBeUndefined();
    expect(() => executor.memory()).toThrow('PJRT_Device_MemoryStats: UNIMPLEMENTED');
  });

  it('passes client options by type', () => {
    open({
      client: {
        memoryFraction: 0.5,
        preallocate: false,
        visibleDevices: [0, 1],
        allocator: 'bfc',
        extra: { partition_index: 7 },
      },
    });
    expect(standIn.options).toEqual({
      memory_fraction: 0.5,
      preallocate: false,
      visible_devices: [0n, 1n],
      allocator: 'bfc',
      partition_index: 7n,
    });
  });

  describe('with a cache folder', () => {
    const compile = (flags = {}) => executor.compile('results=2', { ...twoResults, flags });

    it('foresees what is compiled, and how long it took last time', () => {
      open({ cache: true });
      const foreseen: unknown[] = [];
      const onBegin = (...plan: unknown[]) => void foreseen.push(plan);
      const named = { ...twoResults, name: 'pair', onBegin };
      executor.compile('results=2', named);
      executor.compile('results=2', named);
      executor.compile('results=2 ', named);
      expect(foreseen).toEqual([[false, undefined], [true], [false, expect.any(Number)]]);
    });

    it('compiles once', () => {
      open({ cache: true });
      expect([compile().cached, compile().cached]).toEqual([false, true]);
      expect(compile({ xla_gpu_autotune_level: 0 }).cached).toBe(false); // other flags, other program
      expect(standIn.compilations).toBe(2);
      expect(readdirSync(folder)).toHaveLength(2);
      const input = executor.upload(Float32Array.of(1, 2), pair);
      const [[output]] = executor.execute(compile(), [[input]]) as [[typeof input]];
      expect([...executor.downloadSync(output)]).toEqual([2, 3]);
    });

    it('compiles again, with a note, when an entry is damaged or rejected', () => {
      open({ cache: true });
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
      compile();
      const path = join(folder, readdirSync(folder)[0]!);
      const bytes = readFileSync(path);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(path, bytes);
      expect(compile().cached).toBe(false);
      expect(warn).toHaveBeenCalledWith(expect.stringContaining('is damaged'));
      standIn.failNext('Executable_DeserializeAndLoad', { code: 3, message: 'another version' });
      expect(compile().cached).toBe(false);
      expect(warn).toHaveBeenCalledWith(expect.stringContaining('another version'));
      expect(compile().cached).toBe(true);
    });

    it('continues if the folder cannot be written', () => {
      folder = join(folder, 'file');
      writeFileSync(folder, '');
      open({ cache: true });
      const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
      expect(compile().cached).toBe(false);
      expect(warn).toHaveBeenCalledWith(expect.stringContaining('cannot be written'));
    });
  });
});

describe('openProgramCache', () => {
  it('keeps how long compilations took, and does without a file that is damaged', () => {
    const folder = mkdtempSync(join(tmpdir(), 'program-cache-'));
    const cache = openProgramCache(folder);
    expect(cache.secondsOf('trainStep')).toBeUndefined();
    cache.keepSeconds('trainStep', 51.23);
    cache.keepSeconds('decode', 4);
    expect([cache.secondsOf('trainStep'), openProgramCache(folder).secondsOf('decode')]).toEqual([51.2, 4]);
    writeFileSync(join(folder, 'seconds.json'), '[');
    expect(cache.secondsOf('decode')).toBeUndefined();
    rmSync(folder, { recursive: true });
  });
});

describe('options of createPjrtExecutor', () => {
  it('refuses a memory fraction that is not one', () => {
    expect(() => createPjrtExecutor({ memoryFraction: 2 })).toThrow(
      'memoryFraction must be above 0 and at most 1, got 2',
    );
  });

  it('takes the cache folder from the environment', () => {
    expect(defaultCacheFolder({ TB_XLA_CACHE: '/tmp/programs' })).toBe('/tmp/programs');
    expect(defaultCacheFolder({ TB_XLA_CACHE: 'off' })).toBeUndefined();
    expect(defaultCacheFolder({ XDG_CACHE_HOME: '/cache' })).toBe('/cache/tokenbridge/xla');
  });
});
