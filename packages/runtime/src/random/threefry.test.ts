import { expect, test } from 'vitest';
import { threefry, threefryStream } from './threefry.js';

// Known-answer vectors of the Random123 library (D. E. Shaw Research), file tests/kat_vectors, "threefry2x32 20":
// counter, key, result.
const knownAnswers = [
  [0x00000000, 0x00000000, 0x00000000, 0x00000000, 0x6b200159, 0x99ba4efe],
  [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
  [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xc4923a9c, 0x483df7a0],
];

test.each(knownAnswers)('counter %i %i under key %i %i', (counter0, counter1, key0, key1, ...expected) => {
  expect(threefry(key0, key1, counter0, counter1).map((word) => word >>> 0)).toEqual(expected);
});

test('the unrolled stream is the same function', () => {
  const [first, second] = [new Int32Array(1000), new Int32Array(1000)];
  threefryStream(0x13198a2e, 0x83707344, first, second);
  first.forEach((word, index) => {
    expect([word, second[index]]).toEqual(threefry(0x13198a2e, 0x83707344, 0, index));
  });
});
