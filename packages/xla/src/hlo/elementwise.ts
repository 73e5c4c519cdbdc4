/** Operations on single elements. Operands have equal shapes and types; broadcasting and mixed types happen above. */
import type { ElementType } from '../executor.js';
import { makeNode, type Node } from '../graph/node.js';
import { constant } from './literal.js';

/** `stablehlo.<name>` of one operand. */
export function unary(name: string, x: Node): Node {
  return makeNode(`stablehlo.${name}`, [x], '', x.type);
}

/** An operation of the CHLO dialect, which XLA expands: `erf`, `erf_inv`, `tan` … */
export function chlo(name: string, x: Node): Node {
  return makeNode(`chlo.${name}`, [x], '', x.type);
}

/** `stablehlo.<name>` of two operands. */
export function binary(name: string, a: Node, b: Node): Node {
  return makeNode(`stablehlo.${name}`, [a, b], '', a.type);
}

/** Sums, element by element; of booleans, the logical or. */
export const add = (a: Node, b: Node): Node => binary('add', a, b);
/** Differences, element by element. */
export const subtract = (a: Node, b: Node): Node => binary('subtract', a, b);
/** Products, element by element; of booleans, the logical and. */
export const multiply = (a: Node, b: Node): Node => binary('multiply', a, b);
/** Quotients, element by element; of integers, rounded towards zero. */
export const divide = (a: Node, b: Node): Node => binary('divide', a, b);
/** The larger of two elements. */
export const maximum = (a: Node, b: Node): Node => binary('maximum', a, b);
/** The smaller of two elements. */
export const minimum = (a: Node, b: Node): Node => binary('minimum', a, b);
/** Logical or bitwise and. */
export const and = (a: Node, b: Node): Node => binary('and', a, b);
/** Logical or bitwise or. */
export const or = (a: Node, b: Node): Node => binary('or', a, b);
/** Logical or bitwise exclusive or. */
export const xor = (a: Node, b: Node): Node => binary('xor', a, b);
/** Logical or bitwise complement. */
export const not = (x: Node): Node => unary('not', x);
/** The negative of each element. */
export const negate = (x: Node): Node => unary('negate', x);
/** The absolute value of each element. */
export const abs = (x: Node): Node => unary('abs', x);
/** e to the power of each element. */
export const exponential = (x: Node): Node => unary('exponential', x);

/** A comparison, by StableHLO's name. */
export type Direction = 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE';

/** Compares two arrays element by element: `i1`. Comparisons with NaN are false, except NE. */
export function compare(direction: Direction, a: Node, b: Node): Node {
  const attributes =
    `comparison_direction = #stablehlo<comparison_direction ${direction}>, ` +
    `compare_type = #stablehlo<comparison_type ${comparisonType(a.type.type)}>`;
  return makeNode('stablehlo.compare', [a, b], attributes, { type: 'i1', shape: a.type.shape });
}

/** How values of a type are compared, by StableHLO's name. */
export function comparisonType(type: ElementType): string {
  if (type === 'f32' || type === 'bf16' || type === 'f64' || type === 'f16') return 'FLOAT';
  return type.startsWith('ui') || type === 'i1' ? 'UNSIGNED' : 'SIGNED';
}

/** Elements of `a` where the test holds, else of `b`. */
export function select(test: Node, a: Node, b: Node): Node {
  return makeNode('stablehlo.select', [test, a, b], '', a.type);
}

/** A constant of the same type and shape as `x`. */
export function like(x: Node, value: number): Node {
  return constant(value, x.type.type, x.type.shape);
}

/** Whether each element is neither infinite nor NaN. */
export function isFiniteNumber(x: Node): Node {
  return makeNode('stablehlo.is_finite', [x], '', { type: 'i1', shape: x.type.shape });
}

/** Whether each element is NaN. */
export function isNotANumber(x: Node): Node {
  return compare('NE', x, x);
}
