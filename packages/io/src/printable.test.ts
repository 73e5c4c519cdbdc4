import { expect, it } from 'vitest';
import { printable } from './printable.js';

it('escapes what would break a line or steer a terminal, and leaves the rest', () => {
  expect(printable('a\nb\r\tc')).toBe('a\\nb\\r\\tc');
  expect(printable('\u001b[2J\u009b1m\u007f\u0000')).toBe('\\u001b[2J\\u009b1m\\u007f\\u0000');
  expect(printable('photo\u202egnp.exe\u2028')).toBe('photo\\u202egnp.exe\\u2028');
  expect(printable('ein Bär, 熊 \\ 🐻')).toBe('ein Bär, 熊 \\ 🐻');
});
