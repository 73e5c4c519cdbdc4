/** Products: dot_general and convolution. */
import type { ElementType } from '../executor.js';
import { makeNode, type Node } from '../graph/node.js';
import { paddingAttribute } from './reduce.js';
import { integers } from './shape.js';

/** Axes of a product: batched ones and contracted ones of each operand. */
export type DotAxes = {
  lhsBatch: readonly number[];
  rhsBatch: readonly number[];
  lhsContracting: readonly number[];
  rhsContracting: readonly number[];
};

/** How exactly a product of float32 is computed: DEFAULT lets GPUs round the operands to TF32. */
export type DotPrecision = 'DEFAULT' | 'HIGHEST';

const list = (values: readonly number[]) => `[${values.join(', ')}]`;

/** A product of two arrays: `stablehlo.dot_general`. Axes of the result: batch, then the rest of `lhs`, then the rest of `rhs`. */
export function dotGeneral(lhs: Node, rhs: Node, axes: DotAxes, type: ElementType, precision: DotPrecision): Node {
  const free = (node: Node, used: readonly number[]) => node.type.shape.filter((_, axis) => !used.includes(axis));
  const shape = [
    ...axes.lhsBatch.map((axis) => lhs.type.shape[axis]),
    ...free(lhs, [...axes.lhsBatch, ...axes.lhsContracting]),
    ...free(rhs, [...axes.rhsBatch, ...axes.rhsContracting]),
  ];
  const attributes =
    `dot_dimension_numbers = #stablehlo.dot<lhs_batching_dimensions = ${list(axes.lhsBatch)}, ` +
    `rhs_batching_dimensions = ${list(axes.rhsBatch)}, lhs_contracting_dimensions = ${list(axes.lhsContracting)}, ` +
    `rhs_contracting_dimensions = ${list(axes.rhsContracting)}>, ${precisionConfig(precision)}`;
  return makeNode('stablehlo.dot_general', [lhs, rhs], attributes, { type, shape });
}

function precisionConfig(precision: DotPrecision): string {
  const one = `#stablehlo<precision ${precision}>`;
  return `precision_config = [${one}, ${one}]`;
}

/** Attributes of a convolution, as StableHLO names them. */
export type Convolution = {
  /** Such as `[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]`. */
  dimensions: string;
  strides: readonly number[];
  low: readonly number[];
  high: readonly number[];
  lhsDilation?: readonly number[];
  rhsDilation?: readonly number[];
  isKernelReversed?: boolean;
  featureGroups?: number;
  batchGroups?: number;
  /** Shape of the result; it follows from the rest. */
  shape: readonly number[];
};

/** A convolution: `stablehlo.convolution`. */
export function convolution(
  lhs: Node,
  rhs: Node,
  options: Convolution,
  type: ElementType,
  precision: DotPrecision,
): Node {
  const { dimensions, strides, low, high, featureGroups = 1, batchGroups = 1, shape } = options;
  const ones = strides.map(() => 1);
  const attributes = [
    `window_strides = ${integers(strides)}`,
    `padding = ${paddingAttribute(low, high)}`,
    `lhs_dilation = ${integers(options.lhsDilation ?? ones)}`,
    `rhs_dilation = ${integers(options.rhsDilation ?? ones)}`,
    `window_reversal = array<i1: ${strides.map(() => options.isKernelReversed ?? false).join(', ')}>`,
    `dimension_numbers = #stablehlo.conv<${dimensions}>`,
    `feature_group_count = ${featureGroups} : i64`,
    `batch_group_count = ${batchGroups} : i64`,
    precisionConfig(precision),
  ].join(', ');
  return makeNode('stablehlo.convolution', [lhs, rhs], attributes, { type, shape });
}
