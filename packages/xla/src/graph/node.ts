/**
 * The graph that kernels build: one node for each StableHLO operation, with its result's type. Outside `jit` the graph
 * is a lazy program, run when a value is read; inside, it is the program being traced.
 *
 * Nodes are immutable, except that a lazy node turns into a leaf once its value is on the device.
 */
import type { ArraySpec, DeviceBuffer, HostArray } from '../executor.js';
import { tensorType } from '../executor.js';

export type Node = {
  readonly id: number;
  /** Full StableHLO name, or `parameter` (an argument or a value on the device), or `result` (one of several results). */
  readonly op: string;
  operands: readonly Node[];
  /** The text inside the braces of the generic form. */
  readonly attributes: string;
  /** Regions of a reduction, a sort …, as text between parentheses. */
  readonly regions: string;
  readonly type: ArraySpec;
  /** Types of all results, when there are several. */
  readonly results?: readonly ArraySpec[];
  /** Which of the operand's results a `result` node is. */
  readonly index?: number;
  /** The trace that owns the node; null outside `jit`. */
  readonly trace: Trace | null;
  /** True for parameters, constants and what only reorders them: in bf16 programs they follow what they meet. */
  readonly isWeak: boolean;
  /** Lazy nodes: how many handles and unfinished nodes need the value. */
  references: number;
  /** Lazy nodes: how many handles (dataIds) hold the value. */
  handles: number;
  buffer?: DeviceBuffer;
  host?: HostArray;
};

export type Precision = 'bf16' | 'fp32';

/** A program being traced. */
export type Trace = {
  readonly precision: Precision;
  readonly replicas: number;
  /** In order of first use. */
  readonly parameters: Node[];
  /** Values from outside `jit` that the function read, and the parameters that represent them. */
  readonly captures: Map<Node, Node>;
  /** Nodes by what they compute: the same operation on the same operands is one node. */
  readonly interned: Map<string, Node>;
};

let lastId = 0;
let currentTrace: Trace | null = null;
const created: Node[] = []; // lazy nodes since the last sweep

/** The program being traced, or null outside `jit`. */
export function activeTrace(): Trace | null {
  return currentTrace;
}

/** Runs `body` with every new node belonging to `trace`. */
export function withTrace<T>(trace: Trace, body: () => T): T {
  if (currentTrace)
    throw new Error('jit: a traced function must not call another one; call the plain function instead');
  currentTrace = trace;
  try {
    return body();
  } finally {
    currentTrace = null;
  }
}

/** An empty program. */
export function newTrace(precision: Precision, replicas: number): Trace {
  return { precision, replicas, parameters: [], captures: new Map(), interned: new Map() };
}

type NodeOptions = { regions?: string; results?: readonly ArraySpec[]; index?: number; isWeak?: boolean };

/** A node for one operation. In a trace, an equal node is reused. */
export function makeNode(
  op: string,
  operands: readonly Node[],
  attributes: string,
  type: ArraySpec,
  options: NodeOptions = {},
): Node {
  const { regions = '', results, index, isWeak = false } = options;
  const trace = currentTrace;
  const own = trace ? operands.map((operand) => inTrace(trace, operand)) : operands.map(outsideTrace);
  const key = trace
    ? `${op}(${own.map((operand) => operand.id)})${regions}${attributes}${index ?? ''}${tensorType(type)}`
    : '';
  const known = trace?.interned.get(key);
  if (known) return known;
  lastId += 1;
  const node: Node = {
    id: lastId,
    op,
    operands: own,
    attributes,
    regions,
    type,
    results,
    index,
    trace,
    isWeak,
    references: 0,
    handles: 0,
  };
  if (trace) trace.interned.set(key, node);
  else {
    for (const operand of own) operand.references += 1;
    created.push(node);
  }
  return node;
}

/** The results of an operation that has several. */
export function makeNodes(
  op: string,
  operands: readonly Node[],
  attributes: string,
  results: readonly ArraySpec[],
  regions = '',
): Node[] {
  if (results.length === 1) return [makeNode(op, operands, attributes, results[0], { regions })];
  const all = makeNode(op, operands, attributes, results[0], { regions, results });
  return results.map((type, index) => makeNode('result', [all], '', type, { index }));
}

/** An argument of a traced program. */
export function makeParameter(trace: Trace, type: ArraySpec): Node {
  lastId += 1;
  const node = leaf(lastId, type, trace);
  trace.parameters.push(node);
  return node;
}

/** A value outside of any program: on the device, or still on the host until a program needs it. */
export function makeLeaf(type: ArraySpec, value: { buffer: DeviceBuffer } | { host: HostArray }): Node {
  lastId += 1;
  return Object.assign(leaf(lastId, type, null), value);
}

function leaf(id: number, type: ArraySpec, trace: Trace | null): Node {
  const isWeak = type.type === 'f32';
  return {
    id,
    op: 'parameter',
    operands: [],
    attributes: '',
    regions: '',
    type,
    trace,
    isWeak,
    references: 0,
    handles: 0,
  };
}

/** The node itself, or the parameter that represents a value from outside in `trace`. */
export function inTrace(trace: Trace, node: Node): Node {
  if (node.trace === trace) return node;
  if (node.trace) throw new Error('jit: a tensor of one traced function was used in another, after its trace ended');
  let parameter = trace.captures.get(node);
  if (!parameter) {
    parameter = makeParameter(trace, node.type);
    trace.captures.set(node, parameter);
    node.references += 1; // The compiled program reads it at every call.
  }
  return parameter;
}

function outsideTrace(node: Node): Node {
  if (node.trace)
    throw new Error('jit: a tensor of a traced function was used after the trace ended; return it instead');
  return node;
}

/** True when the value still has to be computed. */
export function isPending(node: Node): boolean {
  return node.op !== 'parameter' && !node.buffer && !node.host;
}

/** Drops one reference to a lazy node; `free` gives the buffers back that nothing needs any more. */
export function release(node: Node, free: (buffer: DeviceBuffer) => void): void {
  const stack = [node];
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (next.trace) continue;
    next.references -= 1;
    if (next.references > 0) continue;
    if (next.buffer) free(next.buffer);
    next.buffer = undefined;
    stack.push(...next.operands);
    next.operands = [];
  }
}

/** Drops the lazy nodes that were made on the way and that nothing uses. */
export function sweepUnused(free: (buffer: DeviceBuffer) => void): void {
  for (let node = created.pop(); node; node = created.pop()) {
    if (node.references > 0) continue;
    node.references = 1;
    release(node, free);
  }
}
