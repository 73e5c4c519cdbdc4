import {
  type ArgumentReader,
  type ArgumentTensor,
  type Call,
  createArgumentReader,
  disposeTree,
  donatedTensors,
  type JitOptions,
  mapTree,
  oneProcess,
  type Prepared,
  replicasOfProcess,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from './backend.js';
import { compileTraced, type PendingProgram, startTraced } from './compile-traced.js';
import type { DeviceBuffer, Executable } from './executor.js';
import { activeTrace, makeLeaf, type Precision } from './graph/node.js';
import { describeNode } from './graph/print.js';
import { type Placed, placeOn } from './placement.js';
import { type CompiledProgram, type Output, type TracedFunction, traceFunction } from './trace.js';

/** A program that `jit` compiled, and what it costs. */
export type ProgramReport = {
  name: string;
  compileSeconds: number;
  /** True when it came from the cache folder. */
  cached: boolean;
  memory: ReturnType<Executable['memory']>;
  /** The StableHLO text. */
  text: string;
};

const readers = new WeakMap<XlaBackend, ArgumentReader>();

/** The reader of arguments. Besides dtype and shape, how a tensor's values are stored decides which program fits. */
function readerOf(backend: XlaBackend): ArgumentReader {
  const reader = readers.get(backend) ?? createArgumentReader((tensor) => backend.nodeOf(tensor).type.type);
  readers.set(backend, reader);
  return reader;
}

const reports: { name: string; program: CompiledProgram }[] = [];

/** Every program compiled by `jit` so far, in order. */
export function compiledPrograms(): ProgramReport[] {
  return reports.map(({ name, program: { executable, text } }) => ({
    name,
    compileSeconds: executable.compileSeconds,
    cached: executable.cached,
    memory: executable.memory(),
    text,
  }));
}

/**
 * The operations that compute a tensor, as text, one on each line: for debugging, also inside a function that `jit` traces.
 * A value that was computed already is a `parameter`.
 */
export function describeGraph(tensor: tf.Tensor): string {
  return describeNode((tf.backend() as XlaBackend).nodeOf(tensor));
}

/**
 * Compiles a function to one program for each set of argument shapes, dtypes and plain values.
 *
 * Arguments and result are trees of tensors; other leaves and `static` arguments are constants of the program. Tensors
 * that `fn` reads from outside are inputs, with the value that they had at the first call.
 *
 * @throws Error when `fn` reads a tensor, naming the line; when a donated argument holds no tensors, or a tensor that
 *   another argument holds too
 */
export function jit<F extends TracedFunction>(fn: F, options: JitOptions = {}): Prepared<F> {
  const { donate = [], static: fixed = [], precision = 'fp32', replicas, name = fn.name } = options;
  const programs = new WeakMap<XlaBackend, Map<string, CompiledProgram | PendingProgram>>();
  const find = (backend: XlaBackend, args: readonly unknown[]) => {
    const perReplica = replicas === undefined ? [args] : splitReplicas(args, ownReplicas(backend, replicas));
    const calls = perReplica.map((own) => readerOf(backend)(own, fixed));
    const known = programs.get(backend) ?? new Map<string, CompiledProgram | PendingProgram>();
    programs.set(backend, known);
    const [{ key, leaves }] = calls;
    const tracing = { donate, name, precision, replicas: replicas ?? 1 };
    return { calls, known, key, trace: () => trace(backend, fn, perReplica[0], leaves, tracing) };
  };
  const call = (...args: unknown[]): unknown => {
    if (activeTrace()) return inlined(fn, args, donate);
    const backend = tf.backend() as XlaBackend;
    const donatedLeaves = donate.length > 0 ? donatedTensors(args, donate) : [];
    const { calls, known, key, trace } = find(backend, args);
    let program = known.get(key) ?? trace().compile();
    if ('wait' in program) program = taken(known, key, program);
    known.set(key, program);
    const results = run(backend, program, calls, donatedLeaves);
    return replicas === undefined ? results[0] : results;
  };
  const prepare = async (...args: unknown[]): Promise<void> => {
    const backend = tf.backend() as XlaBackend;
    // What runs across processes is compiled by all of them in one order, which only the calls have.
    if (backend.executor.processes && replicas !== undefined && replicas > 1) return;
    const { known, key, trace } = find(backend, args);
    const before = known.get(key);
    if (before) return 'ready' in before ? void (await before.ready) : undefined;
    const traced = trace();
    const pending = traced.start();
    if (!pending) return void known.set(key, traced.compile());
    known.set(key, pending);
    try {
      const program = await pending.ready;
      if (known.get(key) === pending) known.set(key, program);
    } catch (error) {
      if (known.get(key) === pending) known.delete(key);
      throw error;
    }
  };
  const cancel = () => {
    for (const program of programs.get(tf.backend() as XlaBackend)?.values() ?? [])
      if ('cancel' in program) program.cancel();
  };
  return Object.assign(call as F, { prepare, cancel });
}

/** Waits for a program that another thread compiles. One that failed is forgotten, so that the next call tries again. */
function taken(known: Map<string, unknown>, key: string, program: PendingProgram): CompiledProgram {
  try {
    return program.wait();
  } catch (error) {
    known.delete(key);
    throw error;
  }
}

type Tracing = { donate: readonly number[]; name: string; precision: Precision; replicas: number };

/** Traces a function. Returns what compiles the trace, here or (where the executor can) on another thread. */
function trace(
  backend: XlaBackend,
  fn: TracedFunction,
  args: readonly unknown[],
  leaves: readonly ArgumentTensor[],
  { donate, name, ...options }: Tracing,
) {
  const tensors = leaves.map(({ tensor, path }) => ({
    path,
    dtype: tensor.dtype,
    spec: backend.nodeOf(tensor).type,
    isDonated: donate.includes(Number.parseInt(path, 10)),
  }));
  const start = performance.now();
  const traced = traceFunction(backend, fn, args, tensors, options);
  const keep = (program: CompiledProgram): CompiledProgram => {
    reports.push({ name, program });
    return program;
  };
  return {
    compile: () => keep(compileTraced(backend, traced, { ...options, name }, start)),
    start: () => startTraced(backend, traced, { ...options, name }, start, keep),
  };
}

/** A jitted function inside another is part of it. */
function inlined(fn: TracedFunction, args: unknown[], donate: readonly number[]): unknown {
  const donated = donatedTensors(args, donate);
  const result = tf.tidy(() => fn(...args) as tf.TensorContainer);
  disposeTree(donated);
  return result;
}

/** How many replicas of a program this process runs. */
function ownReplicas({ executor: { processes } }: XlaBackend, replicas: number): number {
  return replicasOfProcess('jit', processes ?? oneProcess, replicas);
}

function splitReplicas(args: readonly unknown[], replicas: number): unknown[][] {
  for (const [index, arg] of args.entries()) {
    if (!Array.isArray(arg) || arg.length !== replicas) {
      throw new Error(`jit: argument ${index} must be an array of ${replicas} trees, one for each replica`);
    }
  }
  return Array.from({ length: replicas }, (_, replica) => args.map((arg) => (arg as unknown[])[replica]));
}

/** Runs a program on one set of arguments for each replica. Returns the trees of results. */
function run(backend: XlaBackend, program: CompiledProgram, calls: Call[], donated: tf.Tensor[]): unknown[] {
  const { executable, used, captures } = program;
  const inputs = calls.map(({ leaves }, replica) => {
    const nodes = [...used.map((index) => backend.nodeOf(leaves[index].tensor)), ...captures];
    backend.lazy.compute(nodes);
    return nodes.map((node) => placeOn(backend.executor, node, replica));
  });
  const copies = protectShared(backend, program, calls, inputs);
  const outputs = backend.executor.execute(
    executable,
    inputs.map((buffers) => buffers.map(({ buffer }) => buffer)),
    program.donated,
  );
  for (const { buffer, isCopy } of inputs.flat()) if (isCopy) backend.executor.free(buffer);
  backend.afterKernel();
  for (const node of copies) node.buffer = undefined;
  for (const tensor of donated) tensor.dispose();
  return outputs.map((buffers) => resultTree(backend, program, buffers));
}

/**
 * A donated buffer is invalid after the call. If another tensor shares it, a copy is donated instead. Returns the nodes whose
 * buffers the program takes.
 */
function protectShared(backend: XlaBackend, program: CompiledProgram, calls: Call[], inputs: Placed[][]) {
  const taken = calls.flatMap(({ leaves }, replica) =>
    program.donated.flatMap((place) => {
      const { tensor } = leaves[program.used[place]];
      const input = inputs[replica][place];
      if (input.isCopy) return [];
      if (backend.isSoleOwner(tensor)) return [backend.nodeOf(tensor)];
      inputs[replica][place] = { buffer: backend.lazy.copy(input.buffer), isCopy: true };
      return [];
    }),
  );
  return taken;
}

function resultTree(backend: XlaBackend, { outputs }: CompiledProgram, buffers: DeviceBuffer[]): unknown {
  return mapTree((output: Output) => {
    if (!('result' in output.slot)) return output.slot.value;
    const { result, dtype, shape } = output.slot;
    const dataId = backend.hold(makeLeaf(buffers[result].spec, { buffer: buffers[result] }), dtype);
    return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype });
  }, outputs);
}
