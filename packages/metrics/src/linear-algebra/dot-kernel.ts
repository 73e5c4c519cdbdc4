/**
 * The one hot loop of this package: dot products of two rows with four, in float64, as WebAssembly SIMD. It does twice
 * the work of the same loop in JavaScript. Opcodes and encodings: WebAssembly core specification 2.0, chapter 5.
 */

type Bytes = readonly number[];

const unsigned = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
const sized = (bytes: Bytes): number[] => [...unsigned(bytes.length), ...bytes];
const vector = (items: readonly Bytes[]): number[] => [...unsigned(items.length), ...items.flat()];
const section = (id: number, ...items: Bytes[]): number[] => [id, ...sized(vector(items))];
const name = (text: string): number[] => sized([...text].map((character) => character.charCodeAt(0)));

const I32 = 0x7f;
const V128 = 0x7b;

const get = (local: number): Bytes => [0x20, local];
const set = (local: number): Bytes => [0x21, local];
const constant = (value: number): Bytes => [0x41, value]; // below 64
const ADD_I32: Bytes = [0x6a];
const LESS_I32: Bytes = [0x49]; // unsigned
const ADD_F64: Bytes = [0xa0];
const storeF64 = (offset: number): Bytes => [0x39, 3, offset];
const loadV128 = (offset: number): Bytes => [0xfd, 0x00, 3, offset];
const addF64x2: Bytes = [0xfd, ...unsigned(0xf0)];
const multiplyF64x2: Bytes = [0xfd, ...unsigned(0xf2)];
const laneF64x2 = (lane: number): Bytes => [0xfd, 0x21, lane];

/** Numbers that one round of the loop takes from each row. */
export const ROUND = 4;
const ROUND_BYTES = 8 * ROUND;

const [LEFT, RIGHT] = [
  [0, 1],
  [2, 3, 4, 5],
]; // parameters: addresses of the rows
const [END, OUTPUT] = [6, 7]; // where the first row ends; where the eight sums go
const [FIRST_SUM, FIRST_VALUE] = [8, 16]; // locals: 8 sums, 6 values

/** dots(p, q, r, s, t, u, end, output): p·r, p·s, p·t, p·u, q·r, q·s, q·t, q·u. Rows must not be empty. */
function assemble(): Uint8Array<ArrayBuffer> {
  const rows = [...LEFT, ...RIGHT];
  const sumOf = (left: number, right: number) => FIRST_SUM + 4 * left + right;
  const pairs = LEFT.flatMap((_, i) => RIGHT.map((_, j) => [i, j] as const));
  const step = (offset: number): Bytes[] => [
    ...rows.map((row) => [...get(row), ...loadV128(offset), ...set(FIRST_VALUE + row)]),
    ...pairs.map(([i, j]) => [
      ...[get(sumOf(i, j)), get(FIRST_VALUE + LEFT[i]), get(FIRST_VALUE + RIGHT[j])].flat(),
      ...[multiplyF64x2, addF64x2, set(sumOf(i, j))].flat(),
    ]),
  ];
  const advance = rows.map((row) => [...get(row), ...constant(ROUND_BYTES), ...ADD_I32, ...set(row)]);
  const again = [get(LEFT[0]), get(END), LESS_I32, [0x0d, 0x00]].flat();
  const loop = [0x03, 0x40, ...[...step(0), ...step(16), ...advance].flat(), ...again, 0x0b];
  const store = pairs.flatMap(([i, j], place) => [
    ...[get(OUTPUT), get(sumOf(i, j)), laneF64x2(0), get(sumOf(i, j)), laneF64x2(1)].flat(),
    ...[ADD_F64, storeF64(8 * place)].flat(),
  ]);
  const locals = vector([[14, V128]]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // "\0asm", version 1
    ...section(1, [0x60, ...vector(Array.from({ length: 8 }, () => [I32])), 0x00]),
    ...section(2, [...name('env'), ...name('memory'), 0x02, 0x00, 0x01]),
    ...section(3, [0x00]),
    ...section(7, [...name('dots'), 0x00, 0x00]),
    ...section(10, sized([...locals, ...loop, ...store, 0x0b])),
  ]);
}

export type DotKernel = {
  readonly memory: WebAssembly.Memory;
  readonly dots: (
    p: number,
    q: number,
    r: number,
    s: number,
    t: number,
    u: number,
    end: number,
    output: number,
  ) => void;
};

let kernel: DotKernel | undefined;

/** The kernel with its memory, which all users share, one after another. */
export function dotKernel(): DotKernel {
  if (kernel === undefined) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble()), { env: { memory } });
    kernel = { memory, dots: exports.dots as DotKernel['dots'] };
  }
  return kernel;
}
