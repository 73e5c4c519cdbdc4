import { expect, it } from 'vitest';
import { describeCompiling } from './start-backend.js';

it('reports what is compiled, how long it took last time, and what came from the cache', () => {
  const name = 'trainStep';
  const lines = [
    describeCompiling({ name, state: 'begun', isCached: false }),
    describeCompiling({ name, state: 'begun', isCached: false, expectedSeconds: 65 }),
    describeCompiling({ name, state: 'begun', isCached: false, expectedSeconds: 0.4 }),
    describeCompiling({ name, state: 'begun', isCached: true }),
    describeCompiling({ name, state: 'ready', isCached: false, seconds: 63.6 }),
    describeCompiling({ name: '', state: 'ready', isCached: true, seconds: 2.1 }),
    describeCompiling({ name, state: 'ready', isCached: true, seconds: 0.3 }),
  ];
  expect(lines).toEqual([
    'compiling trainStep',
    'compiling trainStep (1m05s last time)',
    undefined,
    undefined,
    'trainStep compiled in 1m04s',
    'a program loaded from the cache folder in 2s',
    undefined,
  ]);
});
