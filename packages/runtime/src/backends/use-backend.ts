import * as tf from '@tensorflow/tfjs-core';
import type { ProcessGroup } from '../processes.js';
import { registerRandomKernels } from '../random/random-kernels.js';
import { registerGradients } from './gradient-fixes.js';
import { registerTensorflowKernels } from './tensorflow/kernels.js';
import { startWasm } from './wasm/start.js';

/** A backend, or `auto`: the first of xla, tensorflow, wasm that loads. */
export type BackendChoice = 'auto' | BackendName;

/** What can run TensorFlow.js's operations; see docs/backends.md. */
export type BackendName = 'xla' | 'tensorflow' | 'wasm' | 'cpu' | 'webgpu';

/** Which backend runs, and why. */
export type BackendReport = {
  name: BackendName;
  /** One line on what runs and why it was chosen. */
  reason: string;
  /** Backends that `auto` tried before, and why they did not load. */
  skipped: { name: BackendName; reason: string }[];
};

/** How a backend is to run. */
export type BackendOptions = {
  /** Fail rather than run on another kind of device; only xla and tensorflow have a choice. */
  device?: 'cpu' | 'gpu';
  /** Threads of wasm; by default `TB_WASM_THREADS`, or one per core up to 16. Results do not depend on it. */
  threads?: number;
  /** The processes whose devices are used together: what `joinProcesses` returned. Only xla runs across processes. */
  processes?: ProcessGroup;
};

/** How a backend is loaded. */
type Loader = {
  /** The only device that it runs on, if it has no choice. */
  device?: 'cpu' | 'gpu';
  /** Registers the backend with TensorFlow.js. Returns one line that describes what runs. */
  load(options: BackendOptions): Promise<string>;
};

/** What @tb/xla exports for this package. */
type XlaModule = { registerXla(options: BackendOptions): Promise<string> };

const loaders: Record<BackendName, Loader> = {
  xla: {
    load: async (options) => {
      const { importOptional } = await import('./import-optional.js');
      return (await importOptional<XlaModule>('@tb/xla')).registerXla(options);
    },
  },
  tensorflow: {
    load: async ({ device }) => {
      const { loadTensorflow } = await import('./tensorflow/load.js');
      const loaded = await loadTensorflow({ device });
      return `TensorFlow ${loaded.version} on the ${loaded.device.toUpperCase()}`;
    },
  },
  wasm: {
    device: 'cpu',
    load: ({ threads }) => startWasm(threads),
  },
  cpu: {
    device: 'cpu',
    load: async () => {
      await import('@tensorflow/tfjs-backend-cpu');
      silenceGreeting();
      return 'plain JavaScript';
    },
  },
  webgpu: {
    device: 'gpu',
    load: async () => {
      if (!tf.findBackendFactory('webgpu')) {
        const { importOptional } = await import('./import-optional.js');
        await importOptional('@tensorflow/tfjs-backend-webgpu');
      }
      return 'WebGPU';
    },
  },
};

const automatic: readonly BackendName[] = ['xla', 'tensorflow', 'wasm'];

/** A backend that does not load. The message reads `useBackend: <what>`. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  readonly where = 'useBackend';

  /** @param what - which backend, why, and what to do about it */
  constructor(
    readonly what: string,
    options?: ErrorOptions,
  ) {
    super(`useBackend: ${what}`, options);
  }
}

/**
 * Loads a backend and makes it the one that runs every operation from now on.
 *
 * @throws BackendError when the backend asked for does not load; `auto` fails only when none does
 */
export async function useBackend(choice: BackendChoice, options: BackendOptions = {}): Promise<BackendReport> {
  if (choice !== 'auto' && !Object.hasOwn(loaders, choice)) {
    throw new BackendError(`backend must be auto, ${Object.keys(loaders).join(', ')}, got ${choice}`);
  }
  await import('./tfjs-gradients.js');
  registerGradients();
  const skipped: BackendReport['skipped'] = [];
  for (const name of choice === 'auto' ? automatic : [choice]) {
    try {
      return { name, reason: await activate(name, options), skipped };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (choice !== 'auto') throw new BackendError(`${name} does not load: ${reason}`, { cause: error });
      skipped.push({ name, reason });
    }
  }
  throw new BackendError(`no backend loads:\n${skipped.map(({ name, reason }) => `  ${name}: ${reason}`).join('\n')}`);
}

async function activate(name: BackendName, options: BackendOptions): Promise<string> {
  const { device, load } = loaders[name];
  if (device && options.device && device !== options.device)
    throw new Error(`it runs on the ${device.toUpperCase()}, and the ${options.device.toUpperCase()} was asked for`);
  const reason = await load(options);
  if (!(await tf.setBackend(name))) throw new Error(`tfjs could not initialise its ${name} backend`);
  await tf.ready();
  if (name === 'tensorflow') registerTensorflowKernels();
  else if (name !== 'xla') registerRandomKernels(name);
  return reason;
}

/** Turns off the advertisement that the cpu backend prints in Node at its first tensor. */
function silenceGreeting(): void {
  (tf.findBackend('cpu') as unknown as { firstUse: boolean }).firstUse = false;
}
