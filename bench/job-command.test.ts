import { expect, it } from 'vitest';
import { secondsOf, startAndRate } from './job-command.js';

const lines = [
  { seconds: 1, text: 'backend xla: 1 × NVIDIA H200' },
  { seconds: 5, text: 'encode compiled in 4s' },
  { seconds: 6, text: '0/100 images' },
  { seconds: 8, text: '20/100 images  10.0 images/s  8s left' },
  { seconds: 9, text: 'decode compiled in 2s' },
  { seconds: 16, text: '100/100 images  10.0 images/s  0s left' },
];

it('separates start-up from speed', () => {
  expect(startAndRate(lines)).toEqual({ startSeconds: 8, imagesPerSecond: 10 });
  expect(startAndRate(lines.slice(0, 3))).toBeUndefined();
});

it('finds when a line was printed', () => {
  expect([secondsOf(lines, /compiled in/), secondsOf(lines, /compiled in/, 'last'), secondsOf(lines, /step/)]).toEqual([
    5,
    9,
    undefined,
  ]);
});
