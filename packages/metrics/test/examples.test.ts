import { expect, it, vi } from 'vitest';

it('runs the example of the README', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import('../examples/distance.js');
  expect(log.mock.calls.flat()[0]).toBe('Fréchet distance 1.000000');
});
