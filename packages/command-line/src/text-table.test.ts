import { expect, it } from 'vitest';
import { fixed, percent, textTable } from './text-table.js';

it('aligns columns, and lets no name break a line', () => {
  const rows = [
    ['a\nb', fixed(1.234, 2), percent(0.5)],
    ['longer name', fixed(Number.NaN, 2), percent(1, 0)],
  ];
  expect(textTable(['', 'PSNR', 'share'], rows).split('\n')).toEqual([
    '             PSNR   share',
    'a\\nb         1.23  50.00%',
    'longer name     -    100%',
  ]);
});
