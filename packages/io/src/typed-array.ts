const nameOfTypedArray = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;

/**
 * Names the kind of a typed array, such as `Float32Array`; undefined for other values.
 *
 * The getter reads the kind with which the array was made. So an array of another realm (a worker's message under Jest, an
 * iframe, a native module) and a subclass such as Buffer are recognized, which `instanceof` would miss.
 */
export function typedArrayName(value: unknown): string | undefined {
  return nameOfTypedArray.call(value) as string | undefined;
}

/** Returns a Uint8Array of any realm as one of this realm, on the same memory; undefined for other values. */
export function bytesIn(value: unknown): Uint8Array | undefined {
  if (typedArrayName(value) !== 'Uint8Array') return undefined;
  const { buffer, byteOffset, length } = value as Uint8Array;
  return new Uint8Array(buffer, byteOffset, length);
}
