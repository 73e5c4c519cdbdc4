import { type OperationInputs, setKernelCondition } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from '../backend.js';
import type { Node } from '../graph/node.js';
import { defineKernel, type Inputs, type Value } from '../kernels/registry.js';
import { type KernelCall, kernelCall } from './kernel-call.js';
import { type CudaDevice, cudaCompilerOf } from './ptx.js';

/** How one call launches the kernel, and what it reads and writes. */
export type CudaLaunch = Omit<KernelCall, 'entry' | 'ptx'> & {
  /** Macros before the source: sizes that the compiler shall know. Each set of values is compiled once. */
  defines?: Readonly<Record<string, string | number | boolean>>;
  /** Which results are the operation's; default all of them. */
  returns?: readonly number[];
};

/** A kernel in CUDA C++, and how it is launched. */
export type CudaKernel = {
  /** CUDA C++. */
  source: string;
  /** The name of its `extern "C" __global__` function, whose parameters are pointers: operands first, then results. */
  entry: string;
  /** The launch for these inputs. */
  // biome-ignore lint/suspicious/noExplicitAny: attributes are whatever the operation has.
  launch: (inputs: Inputs, attributes: any) => CudaLaunch;
  /** Returns why the kernel does not take these inputs or this GPU, or undefined if it does. Default: it takes everything. */
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  declines?: (inputs: Inputs, attributes: any, device: CudaDevice) => string | undefined;
};

/**
 * Makes a kernel in CUDA C++ what the `xla` backend runs for an operation of `defineOperation`. NVRTC compiles it for the GPU at
 * the first call of each set of sizes; the compiled code is kept in the cache folder. Where there is no CUDA GPU or no NVRTC,
 * the operation runs its definition.
 *
 * The kernel's name must not be one of TensorFlow.js's own kernels.
 *
 * @throws Error in a call: with NVRTC's log if the source does not compile, or listing what is wrong with the launch
 */
export function defineCudaKernel(operation: string, kernel: CudaKernel): void {
  defineKernel(operation, (inputs, attributes) => {
    const search = cudaCompilerOf((tf.backend() as XlaBackend).executor);
    if ('reason' in search) throw new Error(`${operation}: ${search.reason}`);
    const { defines = {}, returns, ...launch } = kernel.launch(inputs, attributes);
    const ptx = search.compiler.compile(withDefines(kernel.source, defines));
    const results = kernelCall({ entry: kernel.entry, ptx, ...launch });
    const chosen = (returns ?? results.map((_, index) => index)).map((index) => results[index]!);
    return chosen.length === 1 ? (chosen[0] as Node) : chosen;
  });
  setKernelCondition('xla', operation, (inputs, attributes) => {
    const backend = tf.backend() as XlaBackend;
    const search = cudaCompilerOf(backend.executor);
    if ('reason' in search) return search.reason;
    return kernel.declines?.(valuesOf(inputs, backend), attributes, search.compiler.device);
  });
}

function valuesOf(inputs: OperationInputs, backend: XlaBackend): Inputs {
  const values: Record<string, Value> = {};
  for (const [name, tensor] of Object.entries(inputs))
    values[name] = { node: backend.nodeOf(tensor), dtype: tensor.dtype };
  return values;
}

/** The source behind its macros. */
export function withDefines(source: string, defines: Readonly<Record<string, string | number | boolean>>): string {
  const lines = Object.entries(defines).map(([name, value]) => `#define ${name} ${value}\n`);
  return `${lines.join('')}${source}`;
}
