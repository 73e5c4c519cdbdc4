import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('the README shows the example as it is', () => {
  expect(read('../README.md')).toContain(read('../examples/reconstruct.ts'));
});

it('the example runs', async () => {
  const print = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import('../examples/reconstruct.js');
  expect(print.mock.calls.map((words) => words.join(' '))).toEqual([
    'latents 1,8,8,16 divergence 1',
    'images 1,64,64,3',
  ]);
  print.mockRestore();
});
