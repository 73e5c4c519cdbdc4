/** From a function to the text of a program. */
import { mapTreeWithNames, type Tree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from './backend.js';
import { matchDonations, type Place } from './donation.js';
import type { ArraySpec, Executable } from './executor.js';
import { inTrace, makeParameter, type Node, newTrace, type Precision, type Trace, withTrace } from './graph/node.js';
import { inOrder, printProgram } from './graph/print.js';

/** A tensor argument: its place in the argument list (`0.blocks.1.weight`), and its type. */
export type Argument = { path: string; dtype: tf.DataType; spec: ArraySpec; isDonated: boolean };

/**
 * A result: a tensor of the program, or a plain value that the function returned as it was. A class, since a plain object
 * would be a node of the tree.
 */
export class Output {
  constructor(readonly slot: { result: number; dtype: tf.DataType; shape: number[] } | { value: unknown }) {}
}

/** A program as it is given to the compiler, and how its parameters and results belong to the function's. */
export type TracedProgram = {
  /** Argument numbers that the program reads or whose memory it takes, in the order of its parameters. */
  used: number[];
  /** Values from outside that it reads, after those. */
  captures: Node[];
  /** Parameter numbers whose memory the program takes. */
  donated: number[];
  outputs: Tree<Output>;
  text: string;
  types: { inputs: ArraySpec[]; outputs: ArraySpec[] };
};

export type CompiledProgram = TracedProgram & { executable: Executable };

// biome-ignore lint/suspicious/noExplicitAny: any function of trees of tensors and plain values.
export type TracedFunction = (...args: any[]) => unknown;

export type TraceOptions = { precision: Precision; replicas: number };

/** Runs `fn` once on symbolic tensors, and prints what it did. */
export function traceFunction(
  backend: XlaBackend,
  fn: TracedFunction,
  args: readonly unknown[],
  tensors: readonly Argument[],
  options: TraceOptions,
): TracedProgram {
  const trace = newTrace(options.precision, options.replicas);
  const parameters = tensors.map(({ spec }) => makeParameter(trace, spec));
  const { results, outputs } = withTrace(trace, () => runTraced(backend, trace, fn, args, tensors, parameters));
  const reachable = new Set(
    inOrder(
      results.map(({ node }) => node),
      () => false,
    ),
  );
  const donated = matchDonations(
    tensors.flatMap((tensor, index) => (tensor.isDonated ? [{ ...tensor, index }] : [])),
    results.map(({ node, path }, index): Place => ({ index, path, spec: node.type })),
  );
  // Donated arguments stay even if the program never reads them: their memory is reused for a result, which so keeps one
  // address across calls. The replay of CUDA graphs needs that.
  const used = tensors.flatMap((_, index) => (reachable.has(parameters[index]) || donated.has(index) ? [index] : []));
  const captured = [...trace.captures].filter(([, parameter]) => reachable.has(parameter));
  const aliases = new Map(Array.from(donated, ([argument, result]) => [used.indexOf(argument), result]));
  const program = printProgram(
    [...used.map((index) => parameters[index]), ...captured.map(([, parameter]) => parameter)],
    results.map(({ node }) => node),
    { aliases, replicas: options.replicas },
  );
  const captures = captured.map(([node]) => node);
  const { text, inputs, outputs: types } = program;
  return {
    used,
    captures,
    donated: [...aliases.keys()].sort((a, b) => a - b),
    outputs,
    text,
    types: { inputs, outputs: types },
  };
}

/**
 * On GPUs: products are cuBLASLt's alone, which adds biases and residual streams while it has the sums at hand. XLA's
 * own, generated and timed against it one by one, lose that, and take as long again to compile (one step of sampling 64
 * images 68 to 65 ms, of training 202 to 199; the first image after 24 instead of 48 s, on an H100). And rounding to bf16
 * is where activations are stored: XLA must not drop it to keep more digits, since those would be written to memory.
 * What the environment's XLA_FLAGS name is left to them.
 */
export function compilerFlags(backend: XlaBackend, { precision }: TraceOptions): Record<string, boolean> | undefined {
  if (backend.executor.platform !== 'cuda') return undefined;
  const flags = {
    xla_gpu_enable_triton_gemm: false,
    xla_gpu_enable_cublaslt: true,
    ...(precision === 'bf16' && { xla_allow_excess_precision: false }),
  };
  const named = process.env.XLA_FLAGS ?? '';
  return Object.fromEntries(Object.entries(flags).filter(([flag]) => !named.includes(flag)));
}

type Traced = { results: { node: Node; path: string }[]; outputs: Tree<Output> };

function runTraced(
  backend: XlaBackend,
  trace: Trace,
  fn: TracedFunction,
  args: readonly unknown[],
  tensors: readonly Argument[],
  parameters: readonly Node[],
): Traced {
  const results: Traced['results'] = [];
  let outputs: Tree<Output> = [];
  tf.tidy(() => {
    const places = new Map(tensors.map(({ path }, index) => [path, index]));
    const symbolic = mapTreeWithNames((leaf: unknown, path) => {
      if (!(leaf instanceof tf.Tensor)) return leaf;
      const index = places.get(path)!;
      const { dtype } = tensors[index];
      const dataId = backend.hold(parameters[index], dtype);
      return tf.engine().makeTensorFromTensorInfo({ dataId, shape: leaf.shape, dtype });
    }, args) as unknown[];
    outputs = mapTreeWithNames(
      (leaf: unknown, path) => {
        if (!(leaf instanceof tf.Tensor)) return new Output({ value: leaf });
        const node = inTrace(trace, backend.nodeOf(leaf));
        results.push({ node, path });
        return new Output({ result: results.length - 1, dtype: leaf.dtype, shape: leaf.shape });
      },
      fn(...symbolic),
    );
  });
  return { results, outputs };
}
