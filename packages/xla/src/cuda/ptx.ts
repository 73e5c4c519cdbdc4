/** CUDA C++ compiled for one device, kept in memory and in the cache folder. */
import type { Executor } from '../executor.js';
import { cacheKey, defaultCacheFolder, openProgramCache, type ProgramCache } from '../pjrt/cache.js';
import type { PjrtExecutor } from '../pjrt/pjrt-executor.js';
import { findNvrtc, headerFolder, type Nvrtc } from './nvrtc.js';

/** The GPU that kernels are compiled for. */
export type CudaDevice = {
  /** Such as `NVIDIA H200`. */
  readonly kind: string;
  /** Compute capability, such as `9.0`. */
  readonly capability: string;
  /** Streaming multiprocessors. */
  readonly multiprocessors: number;
};

/** What compiles kernels for an executor's device. */
export type CudaCompiler = {
  readonly device: CudaDevice;
  /** @throws Error with the compiler's log */
  compile(source: string): string;
};

export type CompilerSearch = { compiler: CudaCompiler } | { reason: string; fix?: string };

const searches = new WeakMap<Executor, CompilerSearch>();

/** The compiler for an executor's device, or why there is none. The search runs once for each executor. */
export function cudaCompilerOf(executor: Executor): CompilerSearch {
  let search = searches.get(executor);
  if (!search) {
    search = findCompiler(executor);
    searches.set(executor, search);
  }
  return search;
}

/** Gives an executor a compiler: for tests. */
export function setCudaCompiler(executor: Executor, search: CompilerSearch): void {
  searches.set(executor, search);
}

function findCompiler(executor: Executor): CompilerSearch {
  if (executor.platform !== 'cuda')
    return { reason: `kernels in CUDA C++ need a CUDA GPU, this is ${executor.platform}` };
  const { compute_capability: capability, core_count: multiprocessors } = executor.deviceAttributes ?? {};
  if (typeof capability !== 'string' || typeof multiprocessors !== 'number')
    return { reason: "the plugin does not report the GPU's compute capability and number of multiprocessors" };
  const nvidiaFolder = (executor as Partial<PjrtExecutor>).plugin?.location.nvidiaFolder;
  const search = findNvrtc(nvidiaFolder);
  if ('reason' in search) return search;
  const folder = defaultCacheFolder();
  const device = { kind: executor.deviceKind, capability, multiprocessors };
  const headers = headerFolder(nvidiaFolder);
  return { compiler: createCudaCompiler(device, search.nvrtc, folder ? openProgramCache(folder) : undefined, headers) };
}

/** The architecture that NVRTC compiles for: from 9.0 on with the instructions that only this architecture has. */
function architectureOf(capability: string): string {
  const [major = 0] = capability.split('.').map(Number);
  return `compute_${capability.replace('.', '')}${major >= 9 ? 'a' : ''}`;
}

/** Compiles with `nvrtc`, and keeps what it compiled by source, options and NVRTC's version. */
export function createCudaCompiler(
  device: CudaDevice,
  nvrtc: Nvrtc,
  cache: ProgramCache | undefined,
  headers?: string,
): CudaCompiler {
  const options = [
    `--gpu-architecture=${architectureOf(device.capability)}`,
    '--std=c++17',
    '-default-device', // functions without an execution space are for the device
    ...(headers ? [`--include-path=${headers}`] : []),
  ];
  const compiled = new Map<string, string>();
  const compile = (source: string): string => {
    const key = cacheKey(['ptx', source, ...options, nvrtc.version]);
    const known = compiled.get(key);
    if (known !== undefined) return known;
    const cached = cache?.read(key);
    const ptx = cached ? new TextDecoder().decode(cached) : nvrtc.compile(source, options);
    if (!cached) cache?.write(key, new TextEncoder().encode(ptx));
    compiled.set(key, ptx);
    return ptx;
  };
  return { device, compile };
}
