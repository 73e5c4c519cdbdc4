import type { Node } from '../graph/node.js';
import { dotGeneral } from '../hlo/contract.js';
import * as ew from '../hlo/elementwise.js';
import { reduce } from '../hlo/reduce.js';
import { broadcastShape, broadcastTo, convert, reshape, sizeOf, transpose } from '../hlo/shape.js';
import { dotPrecision, elementwise, productType } from '../precision.js';
import type { Inputs, KernelTable } from './registry.js';
import { float } from './unary.js';

type MatMul = {
  transposeA: boolean;
  transposeB: boolean;
  /** Gives float32 in bf16 programs too: for gradients of weights. */
  keepFloat32?: boolean;
};

/** Axes of a product's operand: the contracted one, and the other. */
const contracted = (rank: number, isTransposed: boolean, isLeft: boolean) =>
  isLeft === isTransposed ? rank - 2 : rank - 1;

/**
 * Matrix product over the last two axes, the others broadcast. Transposition is only a choice of axes, and a right side
 * that is the same for the whole batch is not repeated.
 */
function matMul(a: Node, b: Node, { transposeA, transposeB, keepFloat32 = false }: MatMul): Node {
  assertMatrices(a, b, transposeA, transposeB);
  const [lhs, rhs] = [convert(a, productType()), convert(b, productType())];
  const type = keepFloat32 ? 'f32' : productType();
  const precision = dotPrecision();
  const rank = a.type.shape.length;
  const rightRank = b.type.shape.length;
  const batches = [a.type.shape.slice(0, -2), b.type.shape.slice(0, -2)];
  const batch = broadcastShape(...batches);
  if (sizeOf(batches[1]) === 1) {
    const flat = reshape(rhs, b.type.shape.slice(-2));
    const left = reshape(lhs, [...batch, ...a.type.shape.slice(-2)]);
    const contractLeft = contracted(batch.length + 2, transposeA, true);
    if (!transposeA || batch.length === 0) {
      const axes = {
        lhsBatch: [],
        rhsBatch: [],
        lhsContracting: [contractLeft],
        rhsContracting: [contracted(2, transposeB, false)],
      };
      return dotGeneral(left, flat, axes, type, precision);
    }
  }
  const full = (node: Node, own: Node) => broadcastTo(node, [...batch, ...own.type.shape.slice(-2)]);
  const axes = batch.map((_, axis) => axis);
  return dotGeneral(
    rank - 2 === batch.length && sizeOf(batches[0]) === sizeOf(batch) ? lhs : full(lhs, a),
    rightRank - 2 === batch.length && sizeOf(batches[1]) === sizeOf(batch) ? rhs : full(rhs, b),
    {
      lhsBatch: axes,
      rhsBatch: axes,
      lhsContracting: [contracted(batch.length + 2, transposeA, true)],
      rhsContracting: [contracted(batch.length + 2, transposeB, false)],
    },
    type,
    precision,
  );
}

function assertMatrices(a: Node, b: Node, transposeA: boolean, transposeB: boolean): void {
  const [left, right] = [a.type.shape, b.type.shape];
  const inner = [left.at(transposeA ? -2 : -1), right.at(transposeB ? -1 : -2)];
  if (left.length < 2 || right.length < 2 || inner[0] !== inner[1]) {
    throw new Error(
      `matMul: shapes must fit, got [${left}] and [${right}] with transposeA=${transposeA} and transposeB=${transposeB}`,
    );
  }
}

/** Integers are multiplied as float32, exactly up to 2^24. */
function matMulOfType({ a, b }: Inputs, attributes: MatMul): Node {
  const product = matMul(a.node, b.node, attributes);
  return a.node.type.type === 'i32' && b.node.type.type === 'i32' ? convert(product, 'i32') : product;
}

/** Bias and activation of the fused kernels, which tf.layers uses. */
export function finishFused(
  product: Node,
  inputs: Inputs,
  attributes: { activation?: string; leakyreluAlpha?: number; dataFormat?: string },
): Node {
  const { bias, preluActivationWeights } = inputs;
  // Channels come last, or second: then a vector of them needs two more axes.
  const perChannel = (node: Node) =>
    attributes.dataFormat === 'NCHW' && node.type.shape.length === 1 ? reshape(node, [node.type.shape[0], 1, 1]) : node;
  const x = bias ? elementwise(product, perChannel(bias.node), ew.add, true) : product;
  const zero = ew.like(x, 0);
  switch (attributes.activation ?? 'linear') {
    case 'linear':
      return x;
    case 'relu':
      return ew.maximum(x, zero);
    case 'relu6':
      return ew.minimum(ew.maximum(x, zero), ew.like(x, 6));
    case 'elu':
      return ew.select(ew.compare('LT', x, zero), ew.unary('exponential_minus_one', x), x);
    case 'sigmoid':
      return ew.unary('logistic', x);
    case 'leakyrelu':
      return ew.select(ew.compare('LT', x, zero), ew.multiply(x, ew.like(x, attributes.leakyreluAlpha ?? 0.2)), x);
    case 'prelu':
      return elementwise(
        float(x),
        perChannel(float(preluActivationWeights.node)),
        (v, slope) => ew.select(ew.compare('GE', v, ew.like(v, 0)), v, ew.multiply(v, slope)),
        false,
      );
    default:
      throw new Error(`xla backend: the activation ${attributes.activation} is not known`);
  }
}

type Labelled = { node: Node; labels: string };

/** Drops labels that nothing else needs. */
function sumOut({ node, labels }: Labelled, needed: string): Labelled {
  const axes = [...labels].flatMap((label, axis) => (needed.includes(label) ? [] : [axis]));
  return { node: reduce(node, 'add', axes), labels: [...labels].filter((label) => needed.includes(label)).join('') };
}

/** Multiplies two labelled arrays, summing what neither the output nor later operands need. */
function contract(left: Labelled, right: Labelled, needed: string): Labelled {
  const a = sumOut(left, needed + right.labels);
  const b = sumOut(right, needed + left.labels);
  const shared = [...a.labels].filter((label) => b.labels.includes(label));
  const batch = shared.filter((label) => needed.includes(label));
  const summed = shared.filter((label) => !needed.includes(label));
  const places = (labels: string, wanted: string[]) => wanted.map((label) => labels.indexOf(label));
  const axes = {
    lhsBatch: places(a.labels, batch),
    rhsBatch: places(b.labels, batch),
    lhsContracting: places(a.labels, summed),
    rhsContracting: places(b.labels, summed),
  };
  const free = (labels: string) => [...labels].filter((label) => !shared.includes(label));
  const type = productType();
  const node = dotGeneral(convert(a.node, type), convert(b.node, type), axes, type, dotPrecision());
  return { node, labels: [...batch, ...free(a.labels), ...free(b.labels)].join('') };
}

function assertEquation(nodes: readonly Node[], equation: string, terms: string[], output: string | undefined): void {
  if (equation.split('->').length !== 2) {
    throw new Error(`einsum: Equations without an arrow are not supported: Expecting exactly one, got ${equation}`);
  }
  if (terms.length !== nodes.length)
    throw new Error(`einsum: Expected ${terms.length} input tensors, received ${nodes.length}`);
  if (terms.some((term) => new Set(term).size < term.length)) {
    throw new Error(`einsum: a label twice in one term is not implemented yet, got ${equation}`);
  }
  const sizes = new Map<string, number>();
  for (const [i, term] of terms.entries()) {
    const { shape } = nodes[i].type;
    const isFitting =
      term.length === shape.length &&
      [...term].every((label, axis) => (sizes.get(label) ?? shape[axis]) === shape[axis]);
    if (!isFitting) throw new Error(misfit(term, shape, sizes, equation));
    for (const [axis, label] of [...term].entries()) sizes.set(label, shape[axis]);
  }
  if ([...output!].some((label) => !sizes.has(label)))
    throw new Error(`einsum: the output has a label that no operand has in ${equation}`);
}

function misfit(term: string, shape: readonly number[], sizes: Map<string, number>, equation: string): string {
  const axis = [...term].findIndex((label, i) => (sizes.get(label) ?? shape[i]) !== shape[i]);
  const expected = axis === -1 ? `${term.length} axes` : `dimension ${sizes.get(term[axis])} at axis ${axis}`;
  return `einsum: expected ${expected} of input shaped ${JSON.stringify(shape)} for ${term} in ${equation}`;
}

/** Einstein summation, two operands at a time from the left. */
function einsum(nodes: readonly Node[], equation: string): Node {
  const [left, output] = equation.replaceAll(' ', '').split('->');
  const terms = left.split(',');
  assertEquation(nodes, equation, terms, output);
  const operands = nodes.map((node, i) => ({ node, labels: terms[i] }));
  const result = operands
    .slice(1)
    .reduce<Labelled>(
      (product, operand, i) => contract(product, operand, output + terms.slice(i + 2).join('')),
      operands[0],
    );
  const { node, labels } = sumOut(result, output);
  return transpose(
    node,
    [...output].map((label) => labels.indexOf(label)),
  );
}

export const matMulKernels: KernelTable = {
  BatchMatMul: (inputs, attributes) => matMulOfType(inputs, attributes as MatMul),
  Einsum: (inputs, { equation }) =>
    einsum(
      Object.values(inputs).map(({ node }) => node),
      equation,
    ),
  _FusedMatMul: (inputs, attributes) =>
    finishFused(matMul(inputs.a.node, inputs.b.node, attributes), inputs, attributes),
};
