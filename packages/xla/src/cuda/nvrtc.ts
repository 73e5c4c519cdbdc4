/** NVIDIA's run-time compiler: CUDA C++ to PTX, through the library that `jax[cuda13]` installs. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { koffi } from '../pjrt/koffi.js';
import { type Address, addressOf, allocate, blockOf, configureStacks, readText } from '../pjrt/memory.js';

export type Nvrtc = {
  readonly path: string;
  /** Such as `13.0`. */
  readonly version: string;
  /**
   * Compiles CUDA C++ to PTX.
   * @param options - such as `--gpu-architecture=compute_90a`
   * @throws Error with the compiler's log
   */
  compile(source: string, options: readonly string[]): string;
};

/** NVRTC, or why it cannot be used and what fixes that. */
export type NvrtcSearch = { nvrtc: Nvrtc } | { reason: string; fix: string };

const LIBRARY = /^libnvrtc\.so\.(\d+)$/;
const INSTALL = "pip install 'jax[cuda13]' in the active Python environment, or set TB_NVRTC to the library's path";

/** The library in the `nvidia` folder of the Python environment that holds the plugin; the newest version first. */
function librariesIn(nvidiaFolder: string): string[] {
  const list = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
  const folders = list(nvidiaFolder).filter((name) => /^cu\d+$/.test(name) || name === 'cuda_nvrtc');
  return folders
    .flatMap((name) => list(join(nvidiaFolder, name, 'lib')).map((file) => join(nvidiaFolder, name, 'lib', file)))
    .filter((path) => LIBRARY.test(path.slice(path.lastIndexOf('/') + 1)))
    .sort()
    .reverse();
}

/** Headers such as `cuda_bf16.h`, if the environment has them. */
export function headerFolder(nvidiaFolder: string | undefined): string | undefined {
  if (!nvidiaFolder || !existsSync(nvidiaFolder)) return undefined;
  const folders = readdirSync(nvidiaFolder).filter((name) => /^cu\d+$/.test(name) || name === 'cuda_runtime');
  return folders
    .map((name) => join(nvidiaFolder, name, 'include'))
    .find((path) => existsSync(join(path, 'cuda_bf16.h')));
}

/**
 * Loads NVRTC: from `TB_NVRTC` (nothing else counts if it is set), from the Python environment of the PJRT plugin, or from where
 * the system's loader finds it. Never throws.
 */
export function findNvrtc(nvidiaFolder: string | undefined, environment: NodeJS.ProcessEnv = process.env): NvrtcSearch {
  const chosen = environment.TB_NVRTC;
  const paths = chosen
    ? [chosen]
    : [...(nvidiaFolder ? librariesIn(nvidiaFolder) : []), 'libnvrtc.so.13', 'libnvrtc.so.12'];
  let problem = '';
  for (const path of paths) {
    try {
      const nvrtc = openNvrtc(path);
      return driverProblem(nvrtc.version) ?? { nvrtc };
    } catch (error) {
      problem ||= (error as Error).message;
    }
  }
  if (chosen) return { reason: `TB_NVRTC names ${chosen}, which does not load: ${problem}`, fix: INSTALL };
  return { reason: `NVIDIA's run-time compiler (libnvrtc) was not found: ${problem}`, fix: INSTALL };
}

/** The driver compiles PTX to machine code, and accepts PTX of the driver's CUDA version and of earlier ones. */
function driverProblem(version: string): { reason: string; fix: string } | undefined {
  const supported = driverCudaVersion();
  if (supported === undefined || number(version) <= number(supported)) return undefined;
  return {
    reason: `the driver supports CUDA ${supported}, the run-time compiler writes PTX of CUDA ${version}`,
    fix: `update the driver, or pip install 'nvidia-cuda-nvrtc==${supported}.*'`,
  };
}

const number = (version: string): number => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major * 100 + minor;
};

/** The newest CUDA version that the driver supports; undefined where there is no driver. */
function driverCudaVersion(): string | undefined {
  try {
    const word = allocate(4);
    if (koffi.load('libcuda.so.1').func('cuDriverGetVersion', 'int', ['uint64_t'])(word.address) !== 0)
      return undefined;
    const version = word.view.getInt32(0, true);
    return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
  } catch {
    return undefined;
  }
}

function openNvrtc(path: string): Nvrtc {
  configureStacks();
  const library = koffi.load(path);
  const bind = (name: string, parameters: number) => {
    const call = library.func(name, 'int', Array<string>(parameters).fill('uint64_t'));
    return (...values: (Address | number)[]): number => call(...values) as number;
  };
  const [create, destroy] = [bind('nvrtcCreateProgram', 6), bind('nvrtcDestroyProgram', 1)];
  const run = bind('nvrtcCompileProgram', 3);
  const sizes = { log: bind('nvrtcGetProgramLogSize', 2), ptx: bind('nvrtcGetPTXSize', 2) };
  const texts = { log: bind('nvrtcGetProgramLog', 2), ptx: bind('nvrtcGetPTX', 2) };

  const words = allocate(8);
  bind('nvrtcVersion', 2)(words.address, words.address + 4n);
  const version = `${words.view.getInt32(0, true)}.${words.view.getInt32(4, true)}`;

  function read(program: Address, what: 'log' | 'ptx'): string {
    const size = allocate(8);
    if (sizes[what](program, size.address) !== 0) return '';
    const length = Number(size.view.getBigUint64(0, true));
    if (length <= 1) return '';
    const text = allocate(length);
    texts[what](program, text.address);
    return readText(text.address, length - 1); // without the zero at its end
  }

  function compile(source: string, options: readonly string[]): string {
    const [text, name, handle] = [blockOf(source), blockOf('kernel.cu'), allocate(8)];
    const created = create(handle.address, text.address, name.address, 0, 0n, 0n);
    if (created !== 0) throw new Error(`NVRTC ${version}: no program could be made (error ${created})`);
    const program = handle.view.getBigUint64(0, true);
    try {
      const blocks = options.map((option) => blockOf(option));
      const list = BigUint64Array.from(blocks.map(({ address }) => address));
      const status = run(program, options.length, addressOf(list));
      if (status !== 0)
        throw new Error(`NVRTC ${version} does not compile the kernel:\n${read(program, 'log').trim()}`);
      return read(program, 'ptx');
    } finally {
      destroy(handle.address);
    }
  }

  return { path, version, compile };
}
