import * as tf from '@tensorflow/tfjs-core';
import { type ArgumentTensor, createArgumentReader } from '../../jit/arguments.js';
import { type BackendSupport, donatedTensors, plainSupport, runTidily } from '../../jit/jit.js';
import { disposeTree, mapTree, mapTreeWithNames, type Tree, treeLeaves } from '../../tree.js';
import type { NodeBackend } from './node-backend.js';
import { createProgram, type RecordedProgram } from './recorded-program.js';
import { isRecording, record, shared } from './recording.js';

// TensorFlow starts an operation quickly, but tfjs needs longer to reach it than a small operation takes. So the operations
// that TensorFlow runs are recorded at a function's first call, and further calls with arguments of the same shapes run
// only these.

/** A result: a tensor, or a plain value that the function returned. A class, since a plain object is a node of a tree. */
class Result {
  constructor(readonly slot: { index: number; shape: number[]; dtype: tf.DataType } | { value: unknown }) {}
}

type Program = { program: RecordedProgram; results: Tree<Result> };

/** How many programs of one function are kept, the latest ones: each keeps its constants in memory. */
const PROGRAMS_KEPT = 256;

const readArguments = createArgumentReader();

/** Disposes the constants of programs that have become unreachable. */
const unreachable = new FinalizationRegistry<RecordedProgram>((program) => program.dispose());

/** `jit` by recordings. A function inside another is part of it; one whose gradient is taken outside runs by itself. */
const recordAndReplay: BackendSupport['compile'] = (fn, { donate = [], static: fixed = [], replicas }) => {
  const programs = new Map<string, Program>();
  const tidily = runTidily(fn, { donate });
  const call = (...args: unknown[]): unknown => {
    if (isRecording() || tf.engine().state.gradientDepth > 0) return tidily(...args);
    const donated = donatedTensors(args, donate);
    const { key, leaves } = readArguments(args, fixed);
    let program = programs.get(key);
    let result: unknown;
    if (program) result = replay(program, leaves);
    else {
      ({ result, program } = recordCall(runTidily(fn, {}), args, leaves));
      keep(programs, key, program);
    }
    disposeTree(donated);
    return result;
  };
  if (replicas !== undefined) return ((...args: unknown[][]) => [call(...args.map(([only]) => only))]) as typeof fn;
  return call as typeof fn;
};

function keep(programs: Map<string, Program>, key: string, program: Program): void {
  programs.set(key, program);
  unreachable.register(program, program.program);
  if (programs.size <= PROGRAMS_KEPT) return;
  const [oldest] = programs.keys();
  programs.delete(oldest);
}

/** Runs `fn` and makes a program of what it did. */
function recordCall(
  fn: (...args: unknown[]) => unknown,
  args: unknown[],
  leaves: ArgumentTensor[],
): { result: unknown; program: Program } {
  const backend = tf.backend() as NodeBackend;
  const inputs = withOwnHandles(backend, leaves);
  const byPath = new Map(leaves.map(({ path }, index) => [path, inputs[index]]));
  const ownArgs = mapTreeWithNames((leaf: unknown, path) => byPath.get(path) ?? leaf, args) as unknown[];
  try {
    const { result, recording, results } = record(backend, inputs, () => fn(...ownArgs), tensorsIn);
    let index = 0;
    const tree = mapTree((leaf: unknown) => {
      if (!(leaf instanceof tf.Tensor)) return new Result({ value: leaf });
      return new Result({ index: index++, shape: leaf.shape, dtype: leaf.dtype });
    }, result);
    return { result, program: { program: createProgram(backend.binding, recording, results), results: tree } };
  } finally {
    disposeTree(inputs);
  }
}

/** The same values under separate handles: two arguments may share one now, and not when the recording runs. */
function withOwnHandles(backend: NodeBackend, leaves: ArgumentTensor[]): tf.Tensor[] {
  const handles = backend.getInputTensorIds(leaves.map(({ tensor }) => tensor));
  return leaves.map(({ tensor: { shape, dtype } }, index) => {
    const id = shared(backend.binding, handles[index]);
    return backend.createOutputTensor({ id, shape, dtype: backend.getDTypeInteger(dtype) });
  });
}

function replay({ program, results }: Program, leaves: ArgumentTensor[]): unknown {
  const backend = tf.backend() as NodeBackend;
  const handles = program.run(backend.getInputTensorIds(leaves.map(({ tensor }) => tensor)));
  return mapTree(({ slot }: Result) => {
    if (!('index' in slot)) return slot.value;
    const { index, shape, dtype } = slot;
    return backend.createOutputTensor({ id: handles[index], shape, dtype: backend.getDTypeInteger(dtype) });
  }, results);
}

function tensorsIn(tree: unknown): tf.Tensor[] {
  return treeLeaves(tree as Tree<unknown>).filter((leaf) => leaf instanceof tf.Tensor);
}

/** For the `tensorflow` backend, which has one device. */
export const recordingSupport: BackendSupport = { ...plainSupport, compile: recordAndReplay };
