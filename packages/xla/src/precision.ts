/**
 * Mixed precision. TensorFlow.js sees float32 everywhere; a value's storage is f32 or bf16. In programs of precision
 * `bf16`
 *
 * - products and convolutions read and write bf16 (accumulating in float32);
 * - transcendental functions, reductions, norms and losses compute and give float32;
 * - softmax computes in float32 and gives bf16, for the product that reads it;
 * - a sum of two values of equal shape, one of each kind, is computed in float32 and stored as bf16, so that a residual
 *   stream is bf16 whatever started it;
 * - a smaller float32 operand follows the bf16 one if it is a parameter or a constant (a bias), and raises the result
 *   to float32 if it was computed (a mean).
 *
 * In programs of precision `fp32`, and outside `jit`, float32 wins.
 */
import type { ElementType } from './executor.js';
import { activeTrace, type Node } from './graph/node.js';
import type { DotPrecision } from './hlo/contract.js';
import { broadcastShape, broadcastTo, convert, sameShape, sizeOf } from './hlo/shape.js';

/** The float type of products' operands and results. */
export function productType(): ElementType {
  return activeTrace()?.precision === 'bf16' ? 'bf16' : 'f32';
}

/** float32 products are exact where nobody asked for speed. */
export function dotPrecision(): DotPrecision {
  return activeTrace()?.precision === 'bf16' ? 'DEFAULT' : 'HIGHEST';
}

/**
 * An operation of two broadcast operands, with storage by the rules above.
 *
 * @param isNative - true when bf16 operands may be handed to the operation as they are, because it rounds once
 */
export function elementwise(a: Node, b: Node, operation: (a: Node, b: Node) => Node, isNative: boolean): Node {
  const shape = broadcastShape(a.type.shape, b.type.shape);
  const apply = (type: ElementType) =>
    operation(broadcastTo(convert(a, type), shape), broadcastTo(convert(b, type), shape));
  if (a.type.type === b.type.type) {
    if (a.type.type !== 'bf16' || isNative) return apply(a.type.type);
    return roundLike(apply('f32'), 'bf16');
  }
  const storage = commonStorage(a, b);
  if (storage === 'bf16' && isNative && followsExactly(a, b)) return apply('bf16');
  return roundLike(apply('f32'), storage);
}

/** Tests keep their `i1`. */
function roundLike(result: Node, storage: ElementType): Node {
  return result.type.type === 'f32' ? convert(result, storage) : result;
}

/** Storage of what combines a bf16 and a float32 value. */
function commonStorage(a: Node, b: Node): ElementType {
  if (a.type.type === b.type.type) return a.type.type;
  if (productType() === 'f32') return 'f32';
  const [wide, narrow] = a.type.type === 'f32' ? [a, b] : [b, a];
  if (sameShape(wide.type.shape, narrow.type.shape)) return 'bf16';
  return wide.isWeak && sizeOf(wide.type.shape) <= sizeOf(narrow.type.shape) ? 'bf16' : 'f32';
}

/** A bias may be rounded before it is added; a scalar factor not, as one error would be in all elements. */
function followsExactly(a: Node, b: Node): boolean {
  const wide = a.type.type === 'f32' ? a : b;
  return wide.isWeak && sizeOf(wide.type.shape) > 1;
}

/** The same storage for all floats of a list, of which bf16 wins in bf16 programs: for concatenation and selection. */
export function alignStorage(nodes: readonly Node[]): Node[] {
  const types = new Set(nodes.map(({ type }) => type.type));
  if (types.size <= 1) return [...nodes];
  const isHalf = productType() === 'bf16' && types.has('bf16');
  return nodes.map((node) => convert(node, isHalf ? 'bf16' : 'f32'));
}

/** float32 values of raw bf16 bits. */
export function float32OfBfloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}
