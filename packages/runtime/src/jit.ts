import * as tf from '@tensorflow/tfjs-core';
import { disposeTree, mapTree, type Tree, treeLeaves } from './tree.js';

export type JitOptions = {
  /** Indices of arguments whose tensors the call consumes: disposed by it, their memory reused where the engine can. */
  donate?: readonly number[];
  /** Indices of arguments that are plain JavaScript values; the program is compiled once for each of their values. */
  static?: readonly number[];
  /** Precision of matrix products and convolutions where the engine has a choice. */
  precision?: 'bf16' | 'fp32';
};

// biome-ignore lint/suspicious/noExplicitAny: any function of trees of tensors and plain values.
type Traceable = (...args: any[]) => any;

/** What compiles a function for one backend. It must keep `jit`'s contract, donation included. */
export type JitEngine = <F extends Traceable>(fn: F, options: JitOptions) => F;

const engines = new Map<string, JitEngine>();

/** Makes `jit` compile with `engine` while the backend of that name is chosen. For packages that bring a backend. */
export function registerJitEngine(backendName: string, engine: JitEngine): void {
  engines.set(backendName, engine);
}

/**
 * The same function, compiled where the backend can compile (`xla`) and run under `tf.tidy` elsewhere.
 *
 * Arguments and result are trees of tensors (nested objects and arrays); the caller owns every tensor of the result.
 * `fn` must be pure, must not read tensors back to the host, and must not let data decide a shape.
 *
 * @throws Error when a donated argument holds no tensors, or a tensor that another argument holds too
 */
export function jit<F extends Traceable>(fn: F, options: JitOptions = {}): F {
  const compiled = new Map<JitEngine, F>();
  const call = (...args: Parameters<F>): ReturnType<F> => {
    const engine = engines.get(tf.getBackend()) ?? tidyEngine;
    let program = compiled.get(engine);
    if (!program) {
      program = engine(fn, options);
      compiled.set(engine, program);
    }
    return program(...args);
  };
  return call as F;
}

/** Runs operation by operation; temporaries and donated arguments are disposed when `fn` returns. */
const tidyEngine: JitEngine = (fn, { donate = [] }) => {
  const call = (...args: unknown[]) => {
    const donated = donatedTensors(args, donate);
    const inputs = new Set(tensorsOf(args));
    const result = tf.tidy(() => {
      const output = fn(...args) as Tree<unknown>;
      // An argument that is passed through becomes a tensor of its own, so that ownership is the same on every backend.
      return mapTree(output, (leaf) =>
        inputs.has(leaf as tf.Tensor) ? tf.clone(leaf as tf.Tensor) : leaf,
      ) as tf.TensorContainer;
    });
    disposeTree(donated);
    return result;
  };
  return call as typeof fn;
};

/** The tensors of the donated arguments, checked to belong to one argument alone. */
export function donatedTensors(args: readonly unknown[], donate: readonly number[]): tf.Tensor[] {
  const donated = donate.flatMap((index) => {
    const tensors = tensorsOf(args[index]);
    if (tensors.length === 0) throw new Error(`jit: donated argument ${index} must hold tensors, got none`);
    return tensors;
  });
  const others = new Set(tensorsOf(args.filter((_, index) => !donate.includes(index))));
  if (new Set(donated).size < donated.length || donated.some((tensor) => others.has(tensor))) {
    throw new Error('jit: a donated tensor must be passed once, got the same tensor in two places');
  }
  return donated;
}

function tensorsOf(tree: unknown): tf.Tensor[] {
  return treeLeaves(tree as Tree<unknown>).filter((leaf) => leaf instanceof tf.Tensor);
}
