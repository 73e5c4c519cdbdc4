import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** The lines that an example prints; the README must show it. */
async function linesOf(example: string): Promise<string[]> {
  const url = new URL(`../examples/${example}`, import.meta.url);
  expect(readme).toContain(readFileSync(url, 'utf8'));
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import(url.href);
  const lines = log.mock.calls.map((words) => words.join(' '));
  log.mockRestore();
  return lines;
}

it('shows the example of the quantizer, and it runs', async () => {
  const lines = await linesOf('quantize.ts');
  expect(lines[0]).toMatch(/^5\.\d\d bits per channel, mean squared error 0\.0\d+$/);
  expect(lines[1]).toBe('12320 bytes for 16384 indices, 4 × 16 × 16 × 16');
  expect(lines[2]).toMatch(/^first value 0\.000 became index \d+, then -?0\.\d+$/);
});

it('shows the example on tensors, and it runs', async () => {
  expect(await linesOf('tensors.ts')).toEqual(['indices 0 24 31 59', 'codewords -4.06 -0.50 -0.03 2.46']);
});
