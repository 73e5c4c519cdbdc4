/** Reductions, windows, sorting: operations that carry a region. */
import { type ElementType, tensorType } from '../executor.js';
import { makeNode, makeNodes, type Node } from '../graph/node.js';
import { comparisonType } from './elementwise.js';
import { constant, iota } from './literal.js';
import { integers, reshape } from './shape.js';

/** How a reduction combines two elements. */
export type Reduction = 'add' | 'multiply' | 'maximum' | 'minimum' | 'and' | 'or';

const INT32_MIN = -2147483648;
const INT32_MAX = 2147483647;

/** The neutral element of a reduction. */
export function identityOf(reduction: Reduction, type: ElementType): number {
  const isFloat = type === 'f32' || type === 'bf16';
  switch (reduction) {
    case 'add':
    case 'or':
      return 0;
    case 'multiply':
    case 'and':
      return 1;
    case 'maximum':
      if (isFloat) return -Infinity;
      return type === 'i1' ? 0 : INT32_MIN;
    case 'minimum':
      if (isFloat) return Infinity;
      return type === 'i1' ? 1 : INT32_MAX;
  }
}

/** The region that combines two scalars. */
export function combiner(reduction: Reduction, type: ElementType): string {
  const scalar = `tensor<${type}>`;
  return (
    `{ ^bb0(%left: ${scalar}, %right: ${scalar}): %combined = "stablehlo.${reduction}"(%left, %right) : ` +
    `(${scalar}, ${scalar}) -> ${scalar} "stablehlo.return"(%combined) : (${scalar}) -> () }`
  );
}

/** Combines all elements along `axes`, which are removed. */
export function reduce(x: Node, reduction: Reduction, axes: readonly number[]): Node {
  if (axes.length === 0) return x;
  const { type, shape } = x.type;
  const kept = shape.filter((_, axis) => !axes.includes(axis));
  if (axes.every((axis) => shape[axis] === 1)) return reshape(x, kept);
  const start = constant(identityOf(reduction, type), type);
  return makeNode(
    'stablehlo.reduce',
    [x, start],
    `dimensions = ${integers(axes)}`,
    { type, shape: kept },
    {
      regions: combiner(reduction, type),
    },
  );
}

/** Index of the largest (or smallest) element along one axis, the first of equals; NaN never wins. */
export function argReduce(x: Node, axis: number, direction: 'GT' | 'LT'): Node {
  const { type, shape } = x.type;
  const kept = shape.filter((_, i) => i !== axis);
  const start = constant(identityOf(direction === 'GT' ? 'maximum' : 'minimum', type), type);
  const operands = [x, iota('i32', shape, axis), start, constant(0, 'i32')];
  const [value, index] = [`tensor<${type}>`, 'tensor<i32>'];
  const test = (name: string, how: string, a: string, b: string, of: string, kind: string) =>
    `%${name} = stablehlo.compare ${how}, %${a}, %${b}, ${kind} : (${of}, ${of}) -> tensor<i1> `;
  const kind = comparisonType(type);
  const regions =
    `{ ^bb0(%v0: ${value}, %i0: ${index}, %v1: ${value}, %i1: ${index}): ` +
    test('better', direction, 'v0', 'v1', value, kind) +
    test('nan1', 'NE', 'v1', 'v1', value, kind) +
    '%wins = stablehlo.or %better, %nan1 : tensor<i1> ' +
    test('equal', 'EQ', 'v0', 'v1', value, kind) +
    test('before', 'LT', 'i0', 'i1', index, 'SIGNED') +
    '%tie = stablehlo.and %equal, %before : tensor<i1> ' +
    '%first = stablehlo.or %wins, %tie : tensor<i1> ' +
    `%v = stablehlo.select %wins, %v0, %v1 : tensor<i1>, ${value} ` +
    `%i = stablehlo.select %first, %i0, %i1 : tensor<i1>, ${index} ` +
    `stablehlo.return %v, %i : ${value}, ${index} }`;
  const results = [
    { type, shape: kept },
    { type: 'i32', shape: kept },
  ] as const;
  return makeNodes('stablehlo.reduce', operands, `dimensions = array<i64: ${axis}>`, results, regions)[1];
}

/** The window of a reduction: one number, or pair of paddings, for each axis. */
export type Window = {
  size: readonly number[];
  strides: readonly number[];
  low: readonly number[];
  high: readonly number[];
  dilation?: readonly number[];
};

/** Pairs of (low, high) as StableHLO writes a padding. */
export function paddingAttribute(low: readonly number[], high: readonly number[]): string {
  if (low.length === 0) return 'dense<> : tensor<0x2xi64>';
  return `dense<[${low.map((count, i) => `[${count}, ${high[i]}]`).join(', ')}]> : tensor<${low.length}x2xi64>`;
}

/** Combines the elements of a window that moves over all axes. */
export function reduceWindow(x: Node, reduction: Reduction, window: Window): Node {
  const { type } = x.type;
  const { size, strides, low, high, dilation = size.map(() => 1) } = window;
  const shape = x.type.shape.map((length, i) => {
    const extent = (size[i] - 1) * dilation[i] + 1;
    return Math.floor((length + low[i] + high[i] - extent) / strides[i]) + 1;
  });
  const attributes =
    `window_dimensions = ${integers(size)}, window_strides = ${integers(strides)}, ` +
    `window_dilations = ${integers(dilation)}, padding = ${paddingAttribute(low, high)}`;
  const start = constant(identityOf(reduction, type), type);
  return makeNode(
    'stablehlo.reduce_window',
    [x, start],
    attributes,
    { type, shape },
    {
      regions: combiner(reduction, type),
    },
  );
}

/** Adds each element of `source` to the place in `x`'s shape where its window has its largest element. */
export function selectAndScatter(x: Node, source: Node, window: Window): Node {
  const { type } = x.type;
  const scalar = `tensor<${type}>`;
  const choose =
    `{ ^bb0(%left: ${scalar}, %right: ${scalar}): %larger = stablehlo.compare GE, %left, %right, FLOAT : ` +
    `(${scalar}, ${scalar}) -> tensor<i1> stablehlo.return %larger : tensor<i1> }`;
  const attributes =
    `window_dimensions = ${integers(window.size)}, window_strides = ${integers(window.strides)}, ` +
    `padding = ${paddingAttribute(window.low, window.high)}`;
  return makeNode('stablehlo.select_and_scatter', [x, source, constant(0, type)], attributes, x.type, {
    regions: `${choose}, ${combiner('add', type)}`,
  });
}

/** Sorts along one axis by the first operand; the others move along. Equal elements keep their order. */
export function sort(operands: readonly Node[], axis: number, direction: 'LT' | 'GT'): Node[] {
  const names = operands.flatMap(({ type }, i) => [`%a${i}: tensor<${type.type}>`, `%b${i}: tensor<${type.type}>`]);
  const key = `tensor<${operands[0].type.type}>`;
  const kind = comparisonType(operands[0].type.type);
  const regions =
    `{ ^bb0(${names.join(', ')}): %before = stablehlo.compare ${direction}, %a0, %b0, ${kind} : ` +
    `(${key}, ${key}) -> tensor<i1> stablehlo.return %before : tensor<i1> }`;
  const attributes = `dimension = ${axis} : i64, is_stable = true`;
  return makeNodes(
    'stablehlo.sort',
    operands,
    attributes,
    operands.map(({ type }) => type),
    regions,
  );
}

/** The k largest elements of the last axis, the largest first, and their indices. */
export function topK(x: Node, k: number): [values: Node, indices: Node] {
  const shape = [...x.type.shape.slice(0, -1), k];
  const results = [
    { type: x.type.type, shape },
    { type: 'i32', shape },
  ] as const;
  return makeNodes('chlo.top_k', [x], `k = ${k} : i64`, results) as [Node, Node];
}

/** Keeps XLA from merging what follows with equal work before. */
export function optimizationBarrier(values: readonly Node[]): Node[] {
  return makeNodes(
    'stablehlo.optimization_barrier',
    values,
    '',
    values.map(({ type }) => type),
  );
}

/** Sums a value over all replicas of the program. */
export function allReduceSum(x: Node, replicas: number): Node {
  const group = Array.from({ length: replicas }, (_, replica) => replica).join(', ');
  const attributes = `replica_groups = dense<[[${group}]]> : ${tensorType({ type: 'i64', shape: [1, replicas] })}`;
  return makeNode('stablehlo.all_reduce', [x], attributes, x.type, { regions: combiner('add', x.type.type) });
}
