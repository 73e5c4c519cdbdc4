const nameOfTypedArray = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)!.get!;

/**
 * Which kind of typed array a value is, `Float32Array` for instance; undefined for everything else.
 *
 * The getter reads what the array is made as. So an array of another realm (a worker's message under Jest, an iframe, a
 * native module) and a subclass such as Buffer are recognized, which `instanceof` would miss.
 */
export function typedArrayName(value: unknown): string | undefined {
  return nameOfTypedArray.call(value) as string | undefined;
}

/** The bytes of a Uint8Array of any realm, as one of this realm on the same memory; undefined for everything else. */
export function bytesIn(value: unknown): Uint8Array | undefined {
  if (typedArrayName(value) !== 'Uint8Array') return undefined;
  const { buffer, byteOffset, length } = value as Uint8Array;
  return new Uint8Array(buffer, byteOffset, length);
}
