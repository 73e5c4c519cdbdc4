import { type BackendSupport, oneProcess, type ProcessGroup, registerBackendSupport } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { XlaBackend } from './backend.js';
import { defineSampleSymbols } from './cuda/sample-symbols.js';
import { xlaInfo } from './doctor.js';
import type { Executor } from './executor.js';
import { registerGradients } from './gradients.js';
import { jit } from './jit.js';
import { attentionKernels } from './kernels/attention.js';
import { binaryKernels } from './kernels/binary.js';
import { controlKernels } from './kernels/control.js';
import { convolutionKernels } from './kernels/convolution.js';
import { gatherKernels } from './kernels/gather.js';
import { imageKernels } from './kernels/image.js';
import { matMulKernels } from './kernels/matmul.js';
import { normalizationKernels } from './kernels/normalization.js';
import { poolKernels } from './kernels/pool.js';
import { randomKernels } from './kernels/random.js';
import { reductionKernels } from './kernels/reduction.js';
import { defineKernel, defineMissing } from './kernels/registry.js';
import { defineViews, shapeKernels } from './kernels/shape.js';
import { unaryKernels } from './kernels/unary.js';
import { createPjrtExecutor } from './pjrt/pjrt-executor.js';
import type { Rendezvous } from './pjrt/rendezvous.js';

const tables = [
  unaryKernels,
  binaryKernels,
  shapeKernels,
  reductionKernels,
  matMulKernels,
  convolutionKernels,
  poolKernels,
  gatherKernels,
  imageKernels,
  normalizationKernels,
  attentionKernels,
  randomKernels,
  controlKernels,
];

let isRegistered = false;

/** Kernels and gradients, once for the process. */
function registerKernels(): void {
  if (isRegistered) return;
  isRegistered = true;
  for (const table of tables) for (const [name, kernel] of Object.entries(table)) defineKernel(name, kernel);
  defineViews();
  defineSampleSymbols();
  for (const name of kernelNames()) defineMissing(name);
  registerGradients();
}

/** The kernels that TensorFlow.js knows: its constants whose value is a kernel's name. */
function kernelNames(): string[] {
  const isName = ([key, value]: [string, unknown]) =>
    typeof value === 'string' && /^_?[A-Z]/.test(value) && key === value.replace('_', '');
  return Object.entries(tf)
    .filter((entry) => isName(entry))
    .map(([, value]) => value as unknown as string);
}

const backendInUse = () => tf.backend() as XlaBackend;

/** What @tb/runtime needs of this backend. */
const support: BackendSupport = {
  compile: jit,
  traits: () => {
    const { deviceCount, processes = oneProcess } = backendInUse().executor;
    return {
      compilesPerShape: true,
      runsAhead: true,
      precisions: ['fp32', 'bf16'],
      deviceCount: deviceCount * processes.count,
      processes,
    };
  },
  toDevice: (tree, device) => backendInUse().toDevice(tree, device),
};

/**
 * Makes `xla` a TensorFlow.js backend that runs on `executor`; `tf.setBackend('xla')` then chooses it, and `jit` of
 * @tb/runtime compiles there. A backend of that name from before is removed; the executor stays the caller's.
 */
export function registerBackend(executor: Executor): void {
  registerKernels();
  registerBackendSupport('xla', support);
  if (tf.findBackendFactory('xla')) tf.removeBackend('xla');
  tf.registerBackend('xla', () => new XlaBackend(executor), 3);
}

let processExecutor: Executor | undefined;

/** Opens the devices of this process, as one of a group where there is one. */
type OpenExecutor = (processes: ProcessGroup | undefined) => Executor;
let openExecutor: OpenExecutor = openPlugin;

/**
 * Makes `registerXla`, and so `useBackend('xla')` of @tb/runtime, use other devices than those of a PJRT plugin: for tests, and for
 * executors of other packages. Call it before the backend is loaded.
 */
export function provideExecutor(open: OpenExecutor): void {
  openExecutor = open;
}

/**
 * Makes `xla` a TensorFlow.js backend on this machine's GPUs, or on what else the PJRT plugin offers. Further calls keep
 * the first call's devices.
 *
 * @param processes - the group of processes whose devices are used together: what `openRendezvous` returned
 * @returns one line on what runs
 * @throws Error stating why no GPU is used and which command fixes it
 */
export async function registerXla({
  device = 'gpu',
  processes,
}: {
  device?: 'cpu' | 'gpu';
  processes?: ProcessGroup;
} = {}): Promise<string> {
  if (!processExecutor) {
    processExecutor = openExecutor(processes && processes.count > 1 ? processes : undefined);
    registerBackend(processExecutor);
  }
  const { platform, deviceKind, deviceCount } = processExecutor;
  if ((platform === 'cpu') !== (device === 'cpu'))
    throw new Error(`device must be ${device}, the plugin has ${platform}`);
  const own = `${deviceCount} × ${deviceKind} through OpenXLA (${platform})`;
  const group = processExecutor.processes;
  return group ? `${own}, process ${group.index} of ${group.count}` : own;
}

function openPlugin(processes: ProcessGroup | undefined): Executor {
  try {
    return createPjrtExecutor(processes && { rendezvous: processes as Rendezvous });
  } catch (error) {
    const { reason, fix } = xlaInfo();
    throw new Error(reason ? [reason, fix].filter(Boolean).join('; ') : String(error), { cause: error });
  }
}
