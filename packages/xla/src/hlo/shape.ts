/** Operations that move elements without computing: each is one StableHLO operation with its own shape inference. */
import type { ElementType } from '../executor.js';
import { makeNode, type Node } from '../graph/node.js';

/** A list of integers as a StableHLO attribute. */
export function integers(values: readonly number[]): string {
  return values.length === 0 ? 'array<i64>' : `array<i64: ${values.join(', ')}>`;
}

/** Whether two shapes are equal. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Axis i of `x` becomes axis `axes[i]` of the result; axes of size 1 are stretched. */
export function broadcastInDim(x: Node, shape: readonly number[], axes: readonly number[]): Node {
  if (sameShape(x.type.shape, shape) && axes.every((axis, i) => axis === i)) return x;
  const attributes = `broadcast_dimensions = ${integers(axes)}`;
  return makeNode('stablehlo.broadcast_in_dim', [x], attributes, { type: x.type.type, shape }, { isWeak: x.isWeak });
}

/** NumPy's broadcasting to a given shape. */
export function broadcastTo(x: Node, shape: readonly number[]): Node {
  const offset = shape.length - x.type.shape.length;
  return broadcastInDim(
    x,
    shape,
    x.type.shape.map((_, axis) => axis + offset),
  );
}

/** The shape that NumPy's rules give to an elementwise operation. */
export function broadcastShape(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1).filter((size) => size !== 1);
    if (sizes.some((size) => size !== sizes[0])) {
      throw new Error(`shapes must broadcast to one another, got ${shapes.map((shape) => `[${shape}]`).join(' and ')}`);
    }
    return sizes[0] ?? 1;
  });
}

/** The same elements in another shape of the same size. */
export function reshape(x: Node, shape: readonly number[]): Node {
  if (sameShape(x.type.shape, shape)) return x;
  if (x.op === 'stablehlo.reshape' && x.operands.length === 1) return reshape(x.operands[0], shape);
  return makeNode('stablehlo.reshape', [x], '', { type: x.type.type, shape }, { isWeak: x.isWeak });
}

/** Axis i of the result is axis `permutation[i]` of `x`. */
export function transpose(x: Node, permutation: readonly number[]): Node {
  if (permutation.every((axis, i) => axis === i)) return x;
  const shape = permutation.map((axis) => x.type.shape[axis]);
  const attributes = `permutation = ${integers(permutation)}`;
  return makeNode('stablehlo.transpose', [x], attributes, { type: x.type.type, shape }, { isWeak: x.isWeak });
}

/** Changes the element type; to `i1`, the test for being other than zero. */
export function convert(x: Node, type: ElementType): Node {
  if (x.type.type === type) return x;
  return makeNode('stablehlo.convert', [x], '', { type, shape: x.type.shape }, { isWeak: x.isWeak });
}

/** Reads the same bits as another type of the same size. */
export function bitcast(x: Node, type: ElementType): Node {
  if (x.type.type === type) return x;
  return makeNode('stablehlo.bitcast_convert', [x], '', { type, shape: x.type.shape });
}

/** Elements `start`, `start + stride` … below `limit`, on each axis. */
export function slice(
  x: Node,
  start: readonly number[],
  limit: readonly number[],
  strides: readonly number[] = start.map(() => 1),
): Node {
  const shape = start.map((from, axis) => Math.max(0, Math.ceil((limit[axis] - from) / strides[axis])));
  if (sameShape(shape, x.type.shape)) return x;
  const attributes = `start_indices = ${integers(start)}, limit_indices = ${integers(limit)}, strides = ${integers(strides)}`;
  return makeNode('stablehlo.slice', [x], attributes, { type: x.type.type, shape }, { isWeak: x.isWeak });
}

/** Elements from `from` to `to` on one axis, all of the others. */
export function sliceAxis(x: Node, axis: number, from: number, to: number): Node {
  const { shape } = x.type;
  return slice(
    x,
    shape.map((_, i) => (i === axis ? from : 0)),
    shape.map((size, i) => (i === axis ? to : size)),
  );
}

/** `low` and `high` may be negative and then cut; `interior` puts elements between. `value` is a scalar. */
export function pad(
  x: Node,
  value: Node,
  low: readonly number[],
  high: readonly number[],
  interior: readonly number[] = low.map(() => 0),
): Node {
  if ([...low, ...high, ...interior].every((count) => count === 0)) return x;
  const shape = x.type.shape.map((size, i) => low[i] + high[i] + size + Math.max(0, size - 1) * interior[i]);
  const attributes = `edge_padding_low = ${integers(low)}, edge_padding_high = ${integers(high)}, interior_padding = ${integers(interior)}`;
  return makeNode('stablehlo.pad', [x, value], attributes, { type: x.type.type, shape });
}

/** All parts must have one element type. */
export function concatenate(parts: readonly Node[], axis: number): Node {
  if (parts.length === 1) return parts[0];
  const total = parts.reduce((sum, part) => sum + part.type.shape[axis], 0);
  const shape = parts[0].type.shape.map((size, i) => (i === axis ? total : size));
  const isWeak = parts.every((part) => part.isWeak);
  const type = { type: parts[0].type.type, shape };
  return makeNode('stablehlo.concatenate', parts, `dimension = ${axis} : i64`, type, { isWeak });
}

/** The elements in reverse order along some axes. */
export function reverse(x: Node, axes: readonly number[]): Node {
  if (axes.length === 0) return x;
  return makeNode('stablehlo.reverse', [x], `dimensions = ${integers(axes)}`, x.type, { isWeak: x.isWeak });
}
