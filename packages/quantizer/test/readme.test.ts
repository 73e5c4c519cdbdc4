import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

it('shows the example, and the example runs', async () => {
  const example = readFileSync(new URL('../examples/quantize.ts', import.meta.url), 'utf8');
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  expect(readme).toContain(example);

  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import('../examples/quantize.js');
  const lines = log.mock.calls.map(([line]) => String(line));
  log.mockRestore();
  expect(lines[0]).toMatch(/^5\.\d\d bits per channel, mean squared error 0\.0\d+$/);
  expect(lines[1]).toBe('12320 bytes for 16384 codes, 4 × 16 × 16 × 16');
  expect(lines[2]).toMatch(/^first value 0\.000 became \d+, then -?0\.\d+$/);
});
