// Just enough of a WebAssembly assembler for one small module: instructions are arrays of bytes, a module is their
// concatenation. Opcodes and encodings: WebAssembly core specification 2.0, chapter 5.

export type Bytes = readonly number[];

const unsigned = (value: number): number[] => {
  const low = value & 0x7f;
  const rest = value >>> 7;
  return rest === 0 ? [low] : [low | 0x80, ...unsigned(rest)];
};

const signed = (value: number): number[] => {
  const low = value & 0x7f;
  const rest = value >> 7;
  const isLast = (rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
};

const simd = (opcode: number, ...immediates: number[]): Bytes => [0xfd, ...unsigned(opcode), ...immediates];
const memory = (align: number, offset: number) => [align, ...unsigned(offset)];

export const type = { i32: 0x7f, v128: 0x7b } as const;

export const get = (local: number): Bytes => [0x20, ...unsigned(local)];
export const set = (local: number): Bytes => [0x21, ...unsigned(local)];
export const tee = (local: number): Bytes => [0x22, ...unsigned(local)];

/** Of the two values below the condition on the stack: the lower if it holds, else the upper. */
export const select: Bytes = [0x1b];

/** Repeats its body while the condition that the body leaves on the stack is true. */
export const repeatWhile = (...body: Bytes[]): Bytes => [0x03, 0x40, ...body.flat(), 0x0d, 0x00, 0x0b];

export const i32 = {
  constant: (value: number): Bytes => [0x41, ...signed(value)],
  add: [0x6a] as Bytes,
  lessThan: [0x49] as Bytes, // unsigned
};

export const v128 = {
  load: (offset: number): Bytes => simd(0x00, ...memory(4, offset)),
  load64Zero: (offset: number): Bytes => simd(0x5d, ...memory(3, offset)),
  load64Lane: (lane: number, offset: number): Bytes => simd(0x57, ...memory(3, offset), lane),
  store: (offset: number): Bytes => simd(0x0b, ...memory(4, offset)),
  and: simd(0x4e),
  or: simd(0x50),
  anyTrue: simd(0x53),
};

export const i8x16 = {
  shuffle: (lanes: Bytes): Bytes => simd(0x0d, ...lanes),
  narrowI16x8Unsigned: simd(0x66),
};

export const i16x8 = { narrowI32x4Signed: simd(0x85) };

export const i32x4 = {
  splat: simd(0x11),
  extractLane: (lane: number): Bytes => simd(0x1b, lane),
  shiftRightUnsigned: simd(0xad),
  add: simd(0xae),
  subtract: simd(0xb1),
};

export const f32x4 = { notEqual: simd(0x42), greaterOrEqual: simd(0x46) };

const vector = (items: readonly Bytes[]): number[] => [...unsigned(items.length), ...items.flat()];
const sized = (bytes: Bytes): number[] => [...unsigned(bytes.length), ...bytes];
const section = (id: number, items: readonly Bytes[]): number[] => [id, ...sized(vector(items))];
const name = (text: string): number[] => sized([...text].map((character) => character.charCodeAt(0)));

/** A module that imports its memory as `env.memory` and exports one function of i32 parameters and an i32 result. */
export function moduleWithFunction(
  exportName: string,
  parameterCount: number,
  locals: readonly { count: number; type: number }[],
  body: readonly Bytes[],
): Uint8Array<ArrayBuffer> {
  const parameters = Array.from({ length: parameterCount }, () => [type.i32]);
  const signature = [0x60, ...vector(parameters), ...vector([[type.i32]])];
  const code = [...vector(locals.map((local) => [...unsigned(local.count), local.type])), ...body.flat(), 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // "\0asm", version 1
    ...section(1, [signature]),
    ...section(2, [[...name('env'), ...name('memory'), 0x02, 0x00, 0x01]]), // a memory of at least one page
    ...section(3, [[0x00]]), // function 0 has signature 0
    ...section(7, [[...name(exportName), 0x00, 0x00]]),
    ...section(10, [sized(code)]),
  ]);
}
