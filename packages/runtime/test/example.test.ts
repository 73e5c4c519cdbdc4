import { expect, test, vi } from 'vitest';

test('the example of the README fits its line', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import('../examples/train-a-line.js');
  expect(log.mock.calls.at(-1)).toEqual(['y = 3.000 x + -1.000']);
});
