import { expect, it } from 'vitest';
import { assertBackend, randomKey, useBackend } from '../index.js';

it('reports what to call before the first tensor', async () => {
  expect(() => randomKey(1)).toThrow("randomKey: no backend is loaded: call await useBackend('auto')");
  await useBackend('cpu');
  expect(() => assertBackend('here')).not.toThrow();
  randomKey(1).dispose();
});
