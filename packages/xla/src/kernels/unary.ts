import type { Node } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { convert } from '../hlo/shape.js';
import { elementTypeOf, type KernelTable } from './registry.js';

/** float32, whatever the type of `x`. */
export const float = (x: Node): Node => convert(x, 'f32');

/** Computed and given in float32. */
const inFloat32 =
  (compute: (x: Node) => Node) =>
  ({ x }: { x?: { node: Node } }): Node =>
    compute(float(x!.node));

/** Computed in the type of `x`, which loses nothing. */
const inKind =
  (compute: (x: Node) => Node) =>
  ({ x }: { x?: { node: Node } }): Node =>
    compute(x!.node);

/** Rounding to whole numbers: integers stay as they are. */
const rounding = (name: string) =>
  inKind((x) => (x.type.type === 'f32' || x.type.type === 'bf16' ? ew.unary(name, x) : x));

const hlo = (name: string) => inFloat32((x) => ew.unary(name, x));
const chlo = (name: string) => inFloat32((x) => ew.chlo(name, x));

/** ln(1 + eˣ), without overflow. */
function softplus(x: Node): Node {
  const tail = ew.unary('log_plus_one', ew.exponential(ew.negate(ew.abs(x))));
  return ew.add(ew.maximum(x, ew.like(x, 0)), tail);
}

/** `low` below zero, else `x`; NaN stays. */
function belowZero(x: Node, low: (x: Node) => Node): Node {
  return ew.select(ew.compare('LT', x, ew.like(x, 0)), low(x), x);
}

const expm1 = (x: Node): Node => ew.unary('exponential_minus_one', x);
const scaled = (x: Node, factor: number): Node => ew.multiply(x, ew.like(x, factor));

/** Self-normalizing networks (Klambauer et al. 2017), equations 14 and 15. */
const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

/** The sign of every number, 0 of 0 and of NaN. */
function sign(x: Node): Node {
  if (x.type.type === 'i1') return x;
  const s = ew.unary('sign', x);
  return x.type.type === 'i32' ? s : ew.select(ew.isNotANumber(x), ew.like(x, 0), s);
}

const test = (compute: (x: Node) => Node) => inFloat32(compute);

export const unaryKernels: KernelTable = {
  Abs: inKind((x) => (x.type.type === 'i1' ? x : ew.abs(x))),
  Acos: chlo('acos'),
  Acosh: chlo('acosh'),
  Asin: chlo('asin'),
  Asinh: chlo('asinh'),
  Atan: chlo('atan'),
  Atanh: chlo('atanh'),
  Ceil: rounding('ceil'),
  Cos: hlo('cosine'),
  Cosh: chlo('cosh'),
  Elu: inFloat32((x) => belowZero(x, expm1)),
  Erf: chlo('erf'),
  Exp: hlo('exponential'),
  Expm1: hlo('exponential_minus_one'),
  Floor: rounding('floor'),
  IsFinite: test(ew.isFiniteNumber),
  IsInf: test((x) => ew.compare('EQ', ew.abs(x), ew.like(x, Infinity))),
  IsNan: test(ew.isNotANumber),
  LeakyRelu: ({ x }, { alpha }) =>
    belowZero(x.node.type.type === 'bf16' ? x.node : float(x.node), (v) => scaled(v, alpha)),
  Log: hlo('log'),
  Log1p: hlo('log_plus_one'),
  LogicalNot: inKind((x) => ew.not(convert(x, 'i1'))),
  Neg: inKind(ew.negate),
  OnesLike: inKind((x) => ew.like(x, 1)),
  Reciprocal: inFloat32((x) => ew.divide(ew.like(x, 1), x)),
  Relu: inKind((x) => ew.maximum(x, ew.like(x, 0))),
  Relu6: inKind((x) => ew.minimum(ew.maximum(x, ew.like(x, 0)), ew.like(x, 6))),
  Round: rounding('round_nearest_even'),
  Rsqrt: hlo('rsqrt'),
  Selu: inFloat32((x) =>
    scaled(
      belowZero(x, (v) => scaled(expm1(v), SELU_ALPHA)),
      SELU_SCALE,
    ),
  ),
  Sigmoid: hlo('logistic'),
  Sign: inKind(sign),
  Sin: hlo('sine'),
  Sinh: chlo('sinh'),
  Softplus: inFloat32(softplus),
  Sqrt: hlo('sqrt'),
  // In float32 even of bf16: sums of squares are what it is for.
  Square: inKind((x) => (x.type.type === 'bf16' ? ew.multiply(float(x), float(x)) : ew.multiply(x, x))),
  Step: ({ x }, { alpha = 0 }) => {
    const zero = ew.like(x.node, 0);
    const above = ew.compare('GT', x.node, zero);
    const stepped = ew.select(above, ew.like(x.node, 1), ew.like(x.node, alpha));
    return x.node.type.type === 'i32' ? stepped : ew.select(ew.isNotANumber(x.node), x.node, stepped);
  },
  Tan: chlo('tan'),
  Tanh: hlo('tanh'),
  ZerosLike: inKind((x) => ew.like(x, 0)),

  Cast: ({ x }, { dtype }) => {
    const isFloat = dtype === 'float32';
    return isFloat && x.node.type.type === 'bf16' ? x.node : convert(x.node, elementTypeOf(dtype));
  },
  ClipByValue: ({ x }, { clipValueMin, clipValueMax }) =>
    ew.minimum(ew.maximum(x.node, ew.like(x.node, clipValueMin)), ew.like(x.node, clipValueMax)),
  EluGrad: ({ dy, y }) => {
    const [slope, value] = [float(dy.node), float(y.node)];
    const isPositive = ew.compare('GE', value, ew.like(value, 0));
    return ew.select(isPositive, slope, ew.multiply(slope, ew.add(value, ew.like(value, 1))));
  },
};
