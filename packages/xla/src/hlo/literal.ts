import { type ArraySpec, type ElementType, type HostArray, tensorType } from '../executor.js';
import { makeNode, type Node } from '../graph/node.js';
import { broadcastInDim } from './shape.js';

const view = new DataView(new ArrayBuffer(8));

/** A number as StableHLO writes it: exact for every value of the type. */
export function numberLiteral(value: number, type: ElementType): string {
  if (type === 'i1') return value ? 'true' : 'false';
  if (type !== 'f32' && type !== 'bf16') return type.startsWith('ui') ? `${value >>> 0}` : `${Math.trunc(value)}`;
  view.setFloat32(0, value);
  if (!Number.isFinite(view.getFloat32(0))) {
    const bits = view.getUint32(0) >>> (type === 'bf16' ? 16 : 0);
    return `0x${bits
      .toString(16)
      .toUpperCase()
      .padStart(type === 'bf16' ? 4 : 8, '0')}`;
  }
  const text = view.getFloat32(0).toExponential();
  return text.includes('.') ? text : text.replace('e', '.0e');
}

/** The same number everywhere: a scalar constant, broadcast. */
export function constant(value: number, type: ElementType, shape: readonly number[] = []): Node {
  const attribute = `value = dense<${numberLiteral(value, type)}> : tensor<${type}>`;
  const scalar = makeNode('stablehlo.constant', [], attribute, { type, shape: [] }, { isWeak: true });
  return broadcastInDim(scalar, shape, []);
}

/** Host data baked into the program. */
export function denseConstant(data: HostArray, spec: ArraySpec): Node {
  const value = denseLiteral(data, spec);
  return makeNode('stablehlo.constant', [], `value = ${value} : ${tensorType(spec)}`, spec, { isWeak: true });
}

function denseLiteral(data: HostArray, spec: ArraySpec): string {
  if (data.length === 0) return 'dense<>';
  // Raw bits take no part in parsing numbers; booleans have no such form for every length.
  if (spec.type === 'i1')
    return `dense<${nested(
      [...data].map((bit) => (bit ? 'true' : 'false')),
      spec.shape,
    )}>`;
  return `dense<"0x${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex').toUpperCase()}">`;
}

function nested(values: string[], shape: readonly number[]): string {
  if (shape.length === 0) return values[0];
  const step = values.length / shape[0];
  const parts = Array.from({ length: shape[0] }, (_, i) =>
    nested(values.slice(i * step, (i + 1) * step), shape.slice(1)),
  );
  return `[${parts.join(', ')}]`;
}

/** 0, 1, 2 … along one axis. */
export function iota(type: ElementType, shape: readonly number[], axis: number): Node {
  if (shape.length === 0) return constant(0, type);
  return makeNode('stablehlo.iota', [], `iota_dimension = ${axis} : i64`, { type, shape });
}
