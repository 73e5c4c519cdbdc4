import type { Node } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { broadcastShape, broadcastTo, convert, reshape } from '../hlo/shape.js';
import { alignStorage, elementwise } from '../precision.js';
import type { Kernel, KernelTable, Value } from './registry.js';
import { float } from './unary.js';

const isBoolean = (x: Node): boolean => x.type.type === 'i1';

/** Booleans count as integers in arithmetic. */
const number = (x: Node): Node => (isBoolean(x) ? convert(x, 'i32') : x);

/** @param isNative - the operation rounds once, so bf16 need not be converted to float32 */
const arithmetic =
  (compute: (a: Node, b: Node) => Node, isNative = false): Kernel =>
  ({ a, b }) =>
    elementwise(number(a.node), number(b.node), compute, isNative);

const comparison = (direction: ew.Direction): Kernel => arithmetic((a, b) => ew.compare(direction, a, b));

const logical =
  (compute: (a: Node, b: Node) => Node): Kernel =>
  ({ a, b }) =>
    elementwise(convert(a.node, 'i1'), convert(b.node, 'i1'), compute, true);

const isInteger = (x: Node): boolean => x.type.type === 'i32';

/** ⌊a / b⌋; integers by float division would lose digits, so the truncated quotient is corrected. */
function floorDivide(a: Node, b: Node): Node {
  if (!isInteger(a)) return ew.unary('floor', ew.divide(a, b));
  const quotient = ew.divide(a, b);
  const remainder = ew.subtract(a, ew.multiply(quotient, b));
  return ew.select(hasOtherSign(remainder, b), ew.subtract(quotient, ew.like(a, 1)), quotient);
}

/** True for a remainder other than zero whose sign is not the divisor's. */
function hasOtherSign(remainder: Node, divisor: Node): Node {
  const zero = ew.like(remainder, 0);
  const differs = ew.compare('NE', ew.compare('LT', remainder, zero), ew.compare('LT', divisor, zero));
  return ew.and(ew.compare('NE', remainder, zero), differs);
}

/** The remainder with the divisor's sign. */
function floorModulo(a: Node, b: Node): Node {
  const remainder = ew.binary('remainder', a, b);
  return ew.select(hasOtherSign(remainder, b), ew.add(remainder, b), remainder);
}

function squaredDifference(a: Node, b: Node): Node {
  const difference = ew.subtract(a, b);
  return ew.multiply(difference, difference);
}

/** Both alternatives in one type and shape; a test of rank 1 chooses whole rows. */
function choose(condition: Value, t: Value, e: Value): Node {
  const [a, b] = alignStorage([t.node, e.node]);
  const { shape } = condition.node.type;
  const rank = Math.max(a.type.shape.length, b.type.shape.length);
  const isByRow = shape.length === 1 && rank > 1 && shape[0] === a.type.shape[0];
  const test = isByRow ? reshape(condition.node, [shape[0], ...Array<number>(rank - 1).fill(1)]) : condition.node;
  const full = broadcastShape(test.type.shape, a.type.shape, b.type.shape);
  return ew.select(broadcastTo(convert(test, 'i1'), full), broadcastTo(a, full), broadcastTo(b, full));
}

export const binaryKernels: KernelTable = {
  Add: arithmetic(ew.add, true),
  Atan2: ({ a, b }) => elementwise(float(a.node), float(b.node), (y, x) => ew.binary('atan2', y, x), false),
  BitwiseAnd: arithmetic(ew.and),
  Equal: comparison('EQ'),
  FloorDiv: (inputs, attributes) => convert(arithmetic(floorDivide)(inputs, attributes) as Node, 'i32'),
  Greater: comparison('GT'),
  GreaterEqual: comparison('GE'),
  Less: comparison('LT'),
  LessEqual: comparison('LE'),
  LogicalAnd: logical(ew.and),
  LogicalOr: logical(ew.or),
  LogicalXor: logical(ew.xor),
  Maximum: arithmetic(ew.maximum, true),
  Minimum: arithmetic(ew.minimum, true),
  Mod: arithmetic(floorModulo),
  Multiply: arithmetic(ew.multiply, true),
  NotEqual: comparison('NE'),
  Pow: arithmetic((a, b) => ew.binary('power', a, b)),
  Prelu: ({ x, alpha }) =>
    elementwise(
      float(x.node),
      float(alpha.node),
      (v, slope) => ew.select(ew.compare('GE', v, ew.like(v, 0)), v, ew.multiply(v, slope)),
      false,
    ),
  RealDiv: ({ a, b }) => elementwise(floatStorage(a.node), floatStorage(b.node), ew.divide, false),
  SquaredDifference: arithmetic(squaredDifference),
  Sub: arithmetic(ew.subtract, true),

  AddN: (inputs) =>
    Object.values(inputs)
      .map(({ node }) => number(node))
      .reduce((sum, x) => elementwise(sum, x, ew.add, true)),
  Select: ({ condition, t, e }) => choose(condition, t, e),
};

/** Floats as they are stored, others as float32. */
function floatStorage(x: Node): Node {
  return x.type.type === 'bf16' ? x : float(x);
}
