/**
 * The border between the traced program and the machine that runs it. Everything above this file (backend, kernels,
 * StableHLO text, jit) sees devices only through `Executor`; everything below (the PJRT C API, a jaxlib child process
 * in tests, a fake in unit tests) does not depend on TensorFlow.js.
 */

import type { ProcessGroup, ProcessStore } from '@tb/runtime';

/** Element types of device arrays, by their StableHLO names. */
export type ElementType =
  | 'f32'
  | 'bf16'
  | 'f16'
  | 'f64'
  | 'i32'
  | 'i64'
  | 'i8'
  | 'ui8'
  | 'ui16'
  | 'ui32'
  | 'ui64'
  | 'i1';

/** What a device array holds. */
export type ArraySpec = { readonly type: ElementType; readonly shape: readonly number[] };

/**
 * Host data of a device array, one element each, row-major: `bf16` and `f16` are raw bits in a Uint16Array, `i1` is 0
 * or 1 in a Uint8Array, `i64` and `ui64` are BigInt arrays.
 */
export type HostArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** An array on a device. Each executor keeps its own handle inside; others see only this. */
export type DeviceBuffer = { readonly spec: ArraySpec; readonly device: number };

/** A compiler flag's value; booleans must be given as booleans, enumerations and lists as strings. */
export type FlagValue = string | number | boolean;

/** How an executor compiles a program. */
export type CompileOptions = {
  /**
   * How many devices run the program at once, each on its own arguments; default 1. In a group of processes, several
   * replicas are spread equally over all of them, and a single one runs only in this process.
   */
  replicas?: number;
  /** XLA debug options of this program, such as `{ xla_gpu_autotune_level: 0 }`. */
  flags?: Record<string, FlagValue>;
  /** Under which the seconds of compilations are kept in the cache folder. */
  name?: string;
  /**
   * Called before the program is compiled or loaded, by executors that can foresee which.
   *
   * @param expectedSeconds - what compiling a program of this name took last time, where that is known
   */
  onBegin?: (isCached: boolean, expectedSeconds?: number) => void;
};

/** What one program needs on each device, in bytes. */
export type ProgramMemory = {
  argumentBytes: number;
  outputBytes: number;
  /** Bytes of outputs that live in donated arguments. */
  aliasBytes: number;
  temporaryBytes: number;
  generatedCodeBytes: number;
};

/** A compiled program. `dispose` gives its code and scratch memory back; running it afterwards throws. */
export type Executable = {
  /** Those of all processes. */
  readonly replicas: number;
  readonly inputs: readonly ArraySpec[];
  readonly outputs: readonly ArraySpec[];
  /** True when the program came from the cache folder instead of the compiler. */
  readonly cached: boolean;
  readonly compileSeconds: number;
  /** Undefined where the executor cannot say. */
  memory(): ProgramMemory | undefined;
  dispose(): void;
};

/** A program that is compiled on another thread. */
export type PendingExecutable = {
  /** Rejects as `compile` throws, and with an `AbortError` when the program was cancelled. */
  readonly ready: Promise<Executable>;
  /** Blocks this thread until the program is ready. @throws as `ready` rejects */
  wait(): Executable;
  /** Gives the program up if its compilation has not begun. @returns whether that was so */
  cancel(): boolean;
};

export type DeviceMemory = { bytesInUse: number; peakBytesInUse: number; bytesLimit: number };

/** What runs compiled programs on the devices of one platform. */
export type Executor = {
  /** `cuda`, `cpu`, … */
  readonly platform: string;
  /** The device's own name, such as `NVIDIA H200`. */
  readonly deviceKind: string;
  /** Of this process; the others of a group have as many. */
  readonly deviceCount: number;
  /** The processes whose devices run programs together; undefined for a single process. */
  readonly processes?: ProcessGroup & { readonly store: ProcessStore };
  /** What the code of a program depends on, besides the module and its options, such as the compiler's version. */
  readonly compilerIdentity?: string;
  /** What the platform reports of a device, such as `compute_capability` and `core_count` of a GPU. */
  readonly deviceAttributes?: Readonly<Record<string, string | number | boolean | number[]>>;

  /**
   * Compiles StableHLO text whose entry is `@main`. A program whose replicas are spread over several processes must be
   * compiled by all of them, in the same order.
   * @throws Error with the compiler's message when the module does not parse or compile
   */
  compile(module: string, options: CompileOptions & { inputs: ArraySpec[]; outputs: ArraySpec[] }): Executable;

  /**
   * Begins to compile as `compile` does, and returns at once. Programs begin in the order of these calls. An executor without
   * it compiles only on the calling thread.
   */
  startCompiling?(
    module: string,
    options: CompileOptions & { inputs: ArraySpec[]; outputs: ArraySpec[] },
  ): PendingExecutable;

  /** Copies `data` to a device; `data` may change as soon as the call returns. `device` defaults to 0. */
  upload(data: HostArray, spec: ArraySpec, device?: number): DeviceBuffer;

  /**
   * Enqueues a program and returns at once; the outputs may be used as inputs of further programs right away.
   *
   * The r-th replica of this process runs on its device r: `inputs[r][argument]` must live there, and
   * `outputs[r][result]` will. In several processes, all must execute the same programs in the same order. Inputs that the
   * module donates (`tf.aliasing_output` or `jax.buffer_donor` on its arguments) are dead afterwards; name their indices
   * in `donated`, so that their handles are freed and a second use is reported as such.
   */
  execute(executable: Executable, inputs: DeviceBuffer[][], donated?: readonly number[]): DeviceBuffer[][];

  /** Waits for the buffer's program without blocking the event loop, and copies it to the host. */
  download(buffer: DeviceBuffer): Promise<HostArray>;
  downloadSync(buffer: DeviceBuffer): HostArray;

  /** Gives a buffer back. Work already enqueued on it still completes. Freeing twice does nothing. */
  free(buffer: DeviceBuffer): void;

  /** Bytes held on one device; `device` defaults to 0. */
  memory(device?: number): DeviceMemory;

  /** Frees every buffer and executable and closes the client. */
  dispose(): void;
};

const BYTES_PER_ELEMENT: Record<ElementType, number> = {
  f32: 4,
  bf16: 2,
  f16: 2,
  f64: 8,
  i32: 4,
  i64: 8,
  i8: 1,
  ui8: 1,
  ui16: 2,
  ui32: 4,
  ui64: 8,
  i1: 1,
};

/** Number of elements of an array. */
export function elementCount(spec: ArraySpec): number {
  return spec.shape.reduce((product, size) => product * size, 1);
}

/** Bytes that an array takes on the host. */
export function byteSize(spec: ArraySpec): number {
  return elementCount(spec) * BYTES_PER_ELEMENT[spec.type];
}

/** Views bytes as the host array of `spec`. */
export function hostArray(spec: ArraySpec, bytes: ArrayBuffer): HostArray {
  const constructors = {
    f32: Float32Array,
    bf16: Uint16Array,
    f16: Uint16Array,
    f64: Float64Array,
    i32: Int32Array,
    i64: BigInt64Array,
    i8: Int8Array,
    ui8: Uint8Array,
    ui16: Uint16Array,
    ui32: Uint32Array,
    ui64: BigUint64Array,
    i1: Uint8Array,
  } as const;
  return new constructors[spec.type](bytes, 0, elementCount(spec));
}

/** The StableHLO type of an array: `tensor<2x3xf32>`. */
export function tensorType(spec: ArraySpec): string {
  return `tensor<${[...spec.shape, spec.type].join('x')}>`;
}

/** @throws Error when `data` has another length or element size than `spec` asks for */
export function assertHostArray(caller: string, data: HostArray, spec: ArraySpec): void {
  if (data.byteLength !== byteSize(spec) || data.length !== elementCount(spec)) {
    throw new Error(
      `${caller}: data must be ${elementCount(spec)} elements of ${BYTES_PER_ELEMENT[spec.type]} bytes for ` +
        `${tensorType(spec)}, got ${data.length} of ${data.BYTES_PER_ELEMENT}`,
    );
  }
}
