import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('the README shows the example as it is', () => {
  expect(read('../README.md')).toContain(read('../examples/transformer-block.ts'));
});

it('the example runs', async () => {
  const print = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import('../examples/transformer-block.js');
  expect(print.mock.calls.map((words) => words.join(' '))).toEqual([
    '12704 parameters, such as attn.qkv.weight',
    'output 2,10,32',
    'the loss falls: true',
  ]);
  print.mockRestore();
});
