import * as tf from '@tensorflow/tfjs-core';
import { oneProcess, type ProcessGroup, replicasOfProcess } from '../processes.js';
import { disposeTree, mapTree, type TensorTree, type Tree, treeLeaves } from '../tree.js';

/** How `jit` compiles a function. */
export type JitOptions = {
  /** Indices of arguments whose tensors the call consumes: disposed by it, and their memory reused if the backend can. */
  donate?: readonly number[];
  /** Indices of arguments that are plain JavaScript values; the program is compiled once for each of their values. */
  static?: readonly number[];
  /** Precision of matrix products and convolutions, if the backend has a choice. */
  precision?: 'bf16' | 'fp32';
  /**
   * How many devices run the function at once, each on separate arguments; those of all processes are counted. With it,
   * every argument is an array with one tree for each device that this process contributes, and so is the result: see
   * `replicate` and `allReduceMean`.
   */
  replicas?: number;
  /** What the program is called in messages; default the function's name. */
  name?: string;
};

// biome-ignore lint/suspicious/noExplicitAny: any function of trees of tensors and plain values.
type Traceable = (...args: any[]) => any;

/** A function on several devices: each argument and the result is an array with one item for each device. */
export type Replicated<F extends Traceable> = Prepared<(...args: PerDevice<Parameters<F>>) => ReturnType<F>[]>;
type PerDevice<Args extends unknown[]> = { [Index in keyof Args]: readonly Args[Index][] };

/** A function of `jit`, whose programs can be made ready ahead of their first use. */
export type Prepared<F extends Traceable> = F & {
  /**
   * Makes the program for such arguments ready, without running it: the function is traced at once, and other threads compile the
   * trace (on `xla`; other backends compile nothing, and this does nothing). Only shapes, dtypes and plain values count;
   * donated arguments are not consumed. A call that comes earlier waits for the program.
   *
   * @throws Error (rejecting) as the call would, or an `AbortError` after `cancel`; the next call tries again
   */
  prepare(...args: Parameters<F>): Promise<void>;
  /** Gives up the prepared programs whose compilation has not begun. */
  cancel(): void;
};

/** What a backend is like, for code that plans its work: ask for a trait, not for a backend's name. */
export type BackendTraits = {
  /** Whether `jit` compiles a program for each set of argument shapes, which takes seconds: keep to few shapes. */
  compilesPerShape: boolean;
  /** Whether operations return before the device has computed them: read results late. */
  runsAhead: boolean;
  /** Precisions that `jit` offers. */
  precisions: readonly ('fp32' | 'bf16')[];
  /** How many devices `jit` can run a function on at once; those of all processes are counted. */
  deviceCount: number;
  /** The processes whose devices these are; each has equally many. */
  processes: ProcessGroup;
};

/** What a backend offers beyond TensorFlow.js's operations. For packages that bring a backend. */
export type BackendSupport = {
  /** Must keep `jit`'s contract, donation included. */
  compile<F extends Traceable>(fn: F, options: JitOptions): F | Prepared<F>;
  traits(): BackendTraits;
  /** The tree with its values on one device, from 0. The caller owns the tensors; they may share memory with the old ones. */
  toDevice<T extends TensorTree>(tree: T, device: number): T;
};

const supports = new Map<string, BackendSupport>();

/** Makes `jit` compile by `support` while the backend of that name is in use. For packages that bring a backend. */
export function registerBackendSupport(backendName: string, support: BackendSupport): void {
  supports.set(backendName, support);
}

/** The support of the backend in use. */
export function currentSupport(): BackendSupport {
  return supports.get(tf.getBackend()) ?? plainSupport;
}

/** The traits of the backend in use. */
export function backendTraits(): BackendTraits {
  return currentSupport().traits();
}

/**
 * Compiles a function: on `xla` for each set of argument shapes; on `tensorflow` its operations are recorded and replayed;
 * on other backends it runs under `tf.tidy`.
 *
 * Arguments and result are trees of tensors (nested objects and arrays); the caller owns every tensor of the result.
 * `fn` must be pure, must not read tensors back to the host, and must not let data decide a shape.
 *
 * @throws Error when a donated argument holds no tensors, or a tensor that another argument holds too; when there are
 *   fewer devices than `replicas`
 */
export function jit<F extends Traceable>(fn: F, options: JitOptions & { replicas: number }): Replicated<F>;
export function jit<F extends Traceable>(fn: F, options?: JitOptions): Prepared<F>;
export function jit<F extends Traceable>(fn: F, options: JitOptions = {}): Prepared<F> {
  const compiled = new Map<BackendSupport, F | Prepared<F>>();
  const programOf = (): F | Prepared<F> => {
    const support = currentSupport();
    let program = compiled.get(support);
    if (!program) {
      assertDevices('jit', options.replicas ?? 1);
      program = support.compile(fn, options);
      compiled.set(support, program);
    }
    return program;
  };
  const call = (...args: Parameters<F>): ReturnType<F> => programOf()(...args);
  return Object.assign(call as F, {
    async prepare(...args: Parameters<F>) {
      const program = programOf();
      if ('prepare' in program) await program.prepare(...args);
    },
    cancel() {
      const program = programOf();
      if ('cancel' in program) program.cancel();
    },
  });
}

/**
 * @returns how many of the replicas run in this process
 * @throws Error when the backend in use has fewer devices, or the processes do not contribute equally many
 */
export function assertDevices(caller: string, replicas: number): number {
  const { deviceCount: available, processes } = backendTraits();
  if (Number.isInteger(replicas) && replicas >= 1 && replicas <= available) {
    return replicasOfProcess(caller, processes, replicas);
  }
  throw new Error(
    `${caller}: replicas must be from 1 to the number of devices of backend ${tf.getBackend()} (${available}), got ${replicas}`,
  );
}

/** Runs operation by operation; temporaries and donated arguments are disposed when `fn` returns. */
export const runTidily: BackendSupport['compile'] = (fn, { donate = [], replicas }) => {
  const call = (...args: unknown[]) => {
    const donated = donatedTensors(args, donate);
    const owned = new Set(tensorsOf(args));
    const result = tf.tidy(() => {
      const output = fn(...args) as Tree<unknown>;
      // An argument passed through, or a tensor returned twice, becomes a separate tensor: ownership as on every backend.
      return mapTree((leaf: unknown) => {
        if (!(leaf instanceof tf.Tensor)) return leaf;
        if (owned.has(leaf)) return tf.clone(leaf);
        owned.add(leaf);
        return leaf;
      }, output) as tf.TensorContainer;
    });
    disposeTree(donated);
    return result;
  };
  if (replicas !== undefined) return ((...args: unknown[][]) => [call(...args.map(([only]) => only))]) as typeof fn;
  return call as typeof fn;
};

/** For backends that compile nothing and have one device. */
export const plainSupport: BackendSupport = {
  compile: runTidily,
  traits: () => ({
    compilesPerShape: false,
    runsAhead: false,
    precisions: ['fp32'],
    deviceCount: 1,
    processes: oneProcess,
  }),
  toDevice: (tree) => mapTree((tensor) => tf.clone(tensor), tree),
};

/**
 * Lists the tensors of the donated arguments. For packages that bring a backend.
 *
 * @throws Error when a donated argument holds none, or one of them is in two places
 */
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
