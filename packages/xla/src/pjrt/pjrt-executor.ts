/** The `Executor` over the PJRT C API: what runs programs on GPUs. */
import { availableParallelism } from 'node:os';
import type { Executor, PendingExecutable } from '../executor.js';
import { createBufferPool } from './buffers.js';
import { defaultCacheFolder, openProgramCache } from './cache.js';
import { type Client, type ClientOptions, createClient } from './client.js';
import { CompilePool, startCompileThread } from './compile-pool.js';
import { loadOrCompile, type TimedProgram } from './load-or-compile.js';
import { loadPlugin, type Plugin } from './plugin.js';
import {
  compileProgram,
  compilerIdentity,
  executeProgram,
  type PjrtProgram,
  type ProgramRequest,
  programOf,
  programSource,
} from './program.js';
import { Functions } from './structs.js';

/** Which plugin an executor uses, and how its devices are opened. */
export type PjrtExecutorOptions = ClientOptions & {
  /** Path of the plugin's library; default: the first that `discoverPlugins` finds. */
  plugin?: string;
  /** Folder of compiled programs, or false for none; default `TB_XLA_CACHE` or the user's cache folder. */
  cacheFolder?: string | false;
  /** How many programs compile at once; default: as many as the host has cores. */
  compileThreads?: number;
};

/** An executor on the devices of a PJRT plugin. */
export type PjrtExecutor = Executor & {
  readonly plugin: Plugin;
  readonly platformVersion: string;
  /** Buffers not yet freed: for tests of leaks. */
  liveBuffers(): number;
};

/** Numbers and switches from the environment, for programs that do not offer them as options. */
function environmentOptions(environment: NodeJS.ProcessEnv): ClientOptions {
  const fraction = environment.TB_XLA_MEMORY_FRACTION;
  const preallocate = environment.TB_XLA_PREALLOCATE;
  return {
    ...(fraction && { memoryFraction: Number(fraction) }),
    ...(preallocate && { preallocate: preallocate !== 'false' && preallocate !== '0' }),
  };
}

function assertOptions({ memoryFraction }: ClientOptions): void {
  if (memoryFraction !== undefined && !(memoryFraction > 0 && memoryFraction <= 1)) {
    throw new Error(`createPjrtExecutor: memoryFraction must be above 0 and at most 1, got ${memoryFraction}`);
  }
}

/** The compiling side of an executor: on the calling thread, or ahead of need on others. */
function createCompiling(client: Client, cacheFolder: string | undefined, threads: number) {
  const { api, table } = client.plugin;
  const cache = cacheFolder === undefined ? undefined : openProgramCache(cacheFolder);
  const programs = new Set<PjrtProgram>();
  const workerData = { table, client: client.address, cacheFolder };
  const threadPool = new CompilePool(
    () => startCompileThread(workerData),
    threads,
    (source) => loadOrCompile(client, cache, source),
  );
  let open = true;
  const adopt = (program: PjrtProgram): PjrtProgram => {
    const { dispose } = program;
    program.dispose = () => {
      programs.delete(program);
      dispose.call(program);
    };
    programs.add(program);
    return program;
  };
  return {
    compile: (module: string, request: ProgramRequest) => adopt(compileProgram(client, cache, module, request)),
    startCompiling(module: string, request: ProgramRequest): PendingExecutable {
      const { ready, wait, cancel } = threadPool.start(programSource(client, module, request), request.onBegin);
      let program: PjrtProgram | undefined;
      const take = (loaded: TimedProgram) => {
        if (!open) throw new Error('compile: the executor was disposed');
        program ??= adopt(programOf(client, loaded, request));
        return program;
      };
      const taken = ready.then(take);
      taken.catch(() => undefined); // as in the pool
      return { ready: taken, wait: () => take(wait()), cancel };
    },
    closePrograms() {
      for (const { loaded } of threadPool.close()) api.destroy(Functions.LoadedExecutable_Destroy, loaded);
      open = false;
      for (const program of [...programs]) program.dispose();
    },
  };
}

/** The executor over a client that exists already. */
export function executorOfClient(
  client: Client,
  cacheFolder: string | undefined,
  compileThreads = availableParallelism(),
): PjrtExecutor {
  const pool = createBufferPool(client);
  const { closePrograms, ...compiling } = createCompiling(client, cacheFolder, compileThreads);
  let open = true;
  return {
    plugin: client.plugin,
    platform: client.platform,
    platformVersion: client.platformVersion,
    deviceKind: client.devices[0]!.kind,
    deviceCount: client.devices.length,
    deviceAttributes: client.devices[0]!.attributes,
    processes: client.processes,
    compilerIdentity: compilerIdentity(client),
    ...compiling,
    upload: (data, spec, device = 0) => pool.upload(data, spec, device),
    execute: (executable, inputs, donated = []) =>
      executeProgram(client, pool, executable as PjrtProgram, inputs, donated),
    download: pool.download,
    downloadSync: pool.downloadSync,
    free: pool.free,
    memory: (device = 0) => client.memory(device),
    liveBuffers: () => pool.size,
    dispose() {
      if (!open) return;
      open = false;
      pool.freeAll();
      closePrograms();
      client.destroy();
    },
  };
}

/**
 * Loads a plugin and opens its devices.
 * @throws PluginNotFoundError when there is no plugin; PjrtError with the plugin's reason when it finds no device
 */
export function createPjrtExecutor(options: PjrtExecutorOptions = {}): PjrtExecutor {
  const merged = { ...environmentOptions(process.env), ...options };
  assertOptions(merged);
  const client = createClient(loadPlugin(options.plugin), merged);
  if (client.devices.length === 0) {
    client.destroy();
    throw new Error(`createPjrtExecutor: the plugin ${client.plugin.location.path} found no device`);
  }
  const { cacheFolder, compileThreads } = options;
  const folder = cacheFolder === false ? undefined : (cacheFolder ?? defaultCacheFolder());
  return executorOfClient(client, folder, compileThreads);
}
