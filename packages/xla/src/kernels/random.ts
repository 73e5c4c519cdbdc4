/**
 * The random kernels of @tb/runtime as device code: integer arithmetic that XLA fuses into what uses the numbers, so
 * they are never stored.
 */
import type { Node } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { constant, iota } from '../hlo/literal.js';
import { argReduce } from '../hlo/reduce.js';
import { bitcast, broadcastInDim, concatenate, convert, reshape, sizeOf, sliceAxis } from '../hlo/shape.js';
import type { KernelTable } from './registry.js';
import { float } from './unary.js';

/** Threefry-2x32 with 20 rounds (Salmon et al., SC 2011): rotations of the rounds, and the key schedule's constant. */
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY = 0x1bd11bda;
const ROUNDS = 20;

const word = (x: Node, value: number): Node => constant(value, x.type.type, x.type.shape);

function rotateLeft(x: Node, count: number): Node {
  const left = ew.binary('shift_left', x, word(x, count));
  return ew.or(left, ew.binary('shift_right_logical', x, word(x, 32 - count)));
}

/** Both words of the cipher; all arguments ui32 of one shape. */
function threefry(key: readonly [Node, Node], counter: readonly [Node, Node]): [Node, Node] {
  const schedule = [key[0], key[1], ew.xor(ew.xor(key[0], key[1]), word(key[0], PARITY))];
  let a = ew.add(counter[0], schedule[0]);
  let b = ew.add(counter[1], schedule[1]);
  for (let round = 0; round < ROUNDS; round++) {
    a = ew.add(a, b);
    b = ew.xor(rotateLeft(b, ROTATIONS[round % 8]), a);
    if (round % 4 !== 3) continue;
    const injection = (round + 1) / 4;
    a = ew.add(a, schedule[injection % 3]);
    b = ew.add(ew.add(b, schedule[(injection + 1) % 3]), word(b, injection));
  }
  return [a, b];
}

/** The words of a key [2] or of N keys [N, 2], spread over `shape`; N keys are for the rows of axis `rowAxis`. */
function keyWords(key: Node, shape: readonly number[], rowAxis = 0): [Node, Node] {
  const isPerRow = key.type.shape.length === 2;
  const half = (index: number) => {
    const axis = isPerRow ? 1 : 0;
    const one = bitcast(sliceAxis(key, axis, index, index + 1), 'ui32');
    return broadcastInDim(reshape(one, isPerRow ? [key.type.shape[0]] : []), shape, isPerRow ? [rowAxis] : []);
  };
  return [half(0), half(1)];
}

/** The place of each element within its key's row, as ui32 of the whole shape. */
function counters(key: Node, shape: readonly number[]): Node {
  if (key.type.shape.length === 1) return reshape(iota('ui32', [sizeOf(shape)], 0), shape);
  const rows = key.type.shape[0];
  return reshape(iota('ui32', [rows, sizeOf(shape) / rows], 1), shape);
}

function bits(key: Node, shape: readonly number[]): Node {
  const place = counters(key, shape);
  return threefry(keyWords(key, shape), [word(place, 0), place])[0];
}

/** The upper 24 bits as a float32 in [0, 1). */
function toUnit(words: Node): Node {
  const whole = convert(ew.binary('shift_right_logical', words, word(words, 8)), 'f32');
  return ew.multiply(whole, ew.like(whole, 2 ** -24));
}

/** Keys [...data, ...key]. */
function foldIn(key: Node, data: Node): Node {
  const count = data.type.shape;
  const shape = [...count, ...key.type.shape.slice(0, -1)];
  const value = broadcastInDim(
    bitcast(data, 'ui32'),
    shape,
    count.map((_, axis) => axis),
  );
  const words = threefry(keyWords(key, shape, count.length), [word(value, 1), value]);
  return bitcast(
    concatenate(
      words.map((half) => reshape(half, [...shape, 1])),
      shape.length,
    ),
    'i32',
  );
}

/** Multipliers of C. Wellons' hash prospector, "lowbias32", whose bias is 0.17. */
const MIX = [0x7feb352d, 0x846ca68b];

/** A permutation of the 32-bit integers in which each input bit changes each output bit about half of the time. */
function mix(x: Node): Node {
  const fold = (value: Node, count: number) =>
    ew.xor(value, ew.binary('shift_right_logical', value, word(value, count)));
  const first = ew.multiply(fold(x, 16), word(x, MIX[0]));
  return fold(ew.multiply(fold(first, 15), word(x, MIX[1])), 16);
}

/**
 * A mask needs no cipher: two rounds of a good integer hash of (key, place) cost a tenth of Threefry, and are cheap enough
 * that XLA computes them again in the backward pass instead of storing the mask.
 */
function dropoutMask(key: Node, shape: readonly number[], keepProbability: number): Node {
  const [high, low] = keyWords(key, shape);
  const words = mix(ew.add(mix(ew.xor(counters(key, shape), low)), high));
  const threshold = Math.min(2 ** 32 - 1, Math.round(keepProbability * 2 ** 32));
  const isKept = ew.compare('LT', words, word(words, threshold));
  return ew.select(isKept, constant(1 / keepProbability, 'f32', shape), constant(0, 'f32', shape));
}

/** One draw of each row's categories for each sample, by the Gumbel-max rule. */
function multinomial(logits: Node, samples: number, seed: number, isNormalized: boolean): Node {
  const [rows, categories] = logits.type.shape;
  const shape = [rows, samples, categories];
  const scores = isNormalized ? ew.unary('log', float(logits)) : float(logits);
  const seconds = constant(seed, 'f32', [2]);
  const key = convert(ew.multiply(seconds, ew.like(seconds, 2 ** 16)), 'i32');
  const unit = ew.maximum(toUnit(bits(key, shape)), constant(2 ** -25, 'f32', shape));
  const noise = ew.negate(ew.unary('log', ew.negate(ew.unary('log', unit))));
  return argReduce(ew.add(broadcastInDim(scores, shape, [0, 2]), noise), 2, 'GT');
}

export const randomKernels: KernelTable = {
  DropoutMask: ({ key }, { shape, keepProbability }) => dropoutMask(key.node, shape, keepProbability),
  Multinomial: ({ logits }, { numSamples, seed, normalized }) => multinomial(logits.node, numSamples, seed, normalized),
  ThreefryBits: ({ key }, { shape }) => bitcast(bits(key.node, shape), 'i32'),
  ThreefryFoldIn: ({ key, data }) => foldIn(key.node, data.node),
  ThreefryUniform: ({ key }, { shape }) => toUnit(bits(key.node, shape)),
};
