/**
 * Refuses what is not a flat array: a tensor, an ArrayBuffer, nothing at all. Its elements are for the caller to check.
 *
 * @throws TypeError naming the function, its argument and what came instead
 */
export function assertArray(where: string, argument: string, value: unknown): asserts value is ArrayLike<number> {
  const length = typeof value === 'object' && value !== null ? (value as { length?: unknown }).length : undefined;
  if (Number.isInteger(length) && (length as number) >= 0) return;
  const isTensor = typeof (value as { dataSync?: unknown } | null | undefined)?.dataSync === 'function';
  throw new TypeError(
    `${where}: ${argument} must be a typed array or an array of numbers, got ${kindOf(value)}` +
      `${isTensor ? ": @tb/quantizer/tfjs takes tensors, or pass the tensor's data" : ''}`,
  );
}

/** What a value is, for messages: `null`, `a string`, `an ArrayBuffer`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  const name =
    typeof value === 'object' ? (typedArrayName(value) ?? value.constructor?.name ?? 'Object') : typeof value;
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`;
}

/** Longer values are cut in messages. */
const LONGEST_SHOWN = 80;

/** A value that may come from a file, for a message: as JSON where it is data, in printable characters, not too long. */
export function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (jsonOf(value) ?? kindOf(value));
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
  return cut.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** JSON of a value; undefined where there is none: of a bigint, or of an object that contains itself. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

const nameOfTypedArray = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;

/**
 * Which kind of typed array a value is, `Float32Array` for instance; undefined for everything else.
 *
 * The getter reads what the array is made as. So an array of another realm (an iframe, a worker's message under Jest, a
 * native module) and a subclass are recognized, which `instanceof` and the constructor's name would miss.
 */
export function typedArrayName(value: unknown): string | undefined {
  return nameOfTypedArray.call(value) as string | undefined;
}

/** How many different indices, from 0, an element of each kind of array holds. */
const capacities: Readonly<Record<string, number>> = {
  Int8Array: 2 ** 7,
  Uint8Array: 2 ** 8,
  Uint8ClampedArray: 2 ** 8,
  Float16Array: 2 ** 11,
  Int16Array: 2 ** 15,
  Uint16Array: 2 ** 16,
  Int32Array: 2 ** 31,
  Uint32Array: 2 ** 32,
  Float32Array: 2 ** 24,
  Float64Array: 2 ** 53,
  BigInt64Array: 0,
  BigUint64Array: 0,
};

/**
 * Refuses an output whose elements cannot hold every index below `levels`, such as a Uint8Array for 1024 levels.
 *
 * @throws TypeError if `out` is not an array; RangeError if it is too narrow
 */
export function assertHoldsIndices(where: string, out: unknown, levels: number): void {
  assertArray(where, 'out', out);
  const name = typedArrayName(out);
  const capacity = name === undefined ? Number.POSITIVE_INFINITY : (capacities[name] ?? 0);
  if (capacity >= levels) return;
  const fitting = levels <= 256 ? 'Uint8Array' : 'Uint16Array';
  throw new RangeError(
    `${where}: out must hold the indices 0 to ${levels - 1}, as a ${fitting} does, got ${kindOf(out)}`,
  );
}

/**
 * Refuses an output that would round the values written to it.
 *
 * @throws TypeError if `out` is not an array; RangeError if it is an array of something else than float32 or float64
 */
export function assertHoldsValues(where: string, out: unknown): void {
  assertArray(where, 'out', out);
  const name = typedArrayName(out);
  if (name === undefined || name === 'Float32Array' || name === 'Float64Array') return;
  throw new RangeError(`${where}: out must be a Float32Array or a Float64Array, got ${kindOf(out)}`);
}

/**
 * Values as a Float32Array of this realm if they are float32 numbers already: on the same memory, or of a Float16Array a
 * copy, which is exact. Undefined for all other values.
 */
export function float32View(values: ArrayLike<number>): Float32Array | undefined {
  const name = typedArrayName(values);
  if (name === 'Float16Array') return Float32Array.from(values);
  if (name !== 'Float32Array') return undefined;
  const { buffer, byteOffset, length } = values as Float32Array;
  return new Float32Array(buffer, byteOffset, length);
}

/** Bytes as a Uint8Array of this realm, on the same memory; undefined for everything but an array of bytes. */
export function byteView(bytes: unknown): Uint8Array | undefined {
  if (!['Uint8Array', 'Uint8ClampedArray', 'Int8Array'].includes(typedArrayName(bytes) ?? '')) return undefined;
  const { buffer, byteOffset, length } = bytes as Uint8Array;
  return new Uint8Array(buffer, byteOffset, length);
}
