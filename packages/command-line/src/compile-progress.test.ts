import { createStatusLine, workingTime } from '@tb/io';
import type { CompileEvent } from '@tb/runtime';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createCompileProgress, describeCompiling } from './compile-progress.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function terminalOf(isTTY: boolean) {
  const terminal = { isTTY, text: '', write: (more: string) => (terminal.text += more) };
  return terminal;
}

const begun = (name: string, expectedSeconds?: number, isCached = false): CompileEvent => ({
  name,
  isAhead: true,
  state: 'begun',
  isCached,
  expectedSeconds,
});
const ready = (name: string, seconds: number, blockedSeconds = 0): CompileEvent => ({
  name,
  isAhead: true,
  state: 'ready',
  isCached: false,
  seconds,
  blockedSeconds,
});

it('reports what is compiled, how long it took last time, and what came from the cache', () => {
  const here = { name: 'trainStep', isAhead: false } as const;
  const lines = [
    describeCompiling({ ...here, state: 'begun', isCached: false }),
    describeCompiling({ ...here, state: 'begun', isCached: false, expectedSeconds: 65 }),
    describeCompiling({ ...here, state: 'begun', isCached: false, expectedSeconds: 0.4 }),
    describeCompiling({ ...here, state: 'begun', isCached: true }),
    describeCompiling({ ...here, state: 'ready', isCached: false, seconds: 63.6, blockedSeconds: 63.6 }),
    describeCompiling({ ...here, name: '', state: 'ready', isCached: true, seconds: 2.1, blockedSeconds: 2.1 }),
    describeCompiling({ ...here, state: 'ready', isCached: true, seconds: 0.3, blockedSeconds: 0.3 }),
    describeCompiling({ ...here, state: 'failed' }),
  ];
  expect(lines).toEqual([
    'compiling trainStep',
    'compiling trainStep (1m05s last time)',
    undefined,
    undefined,
    'trainStep compiled in 1m04s',
    'a program loaded from the cache folder in 2s',
    undefined,
    undefined,
  ]);
});

it('shows what other threads compile in a line that moves, and excludes only what this thread waited', () => {
  const terminal = terminalOf(true);
  const report = createCompileProgress(terminal);
  const before = workingTime(Date.now);
  for (const event of [begun('trainStep', 50), begun('trainStep', 50), begun('fillPositions', undefined, true)])
    report(event);
  vi.advanceTimersByTime(300);
  expect(terminal.text).toContain('compiling trainStep ×2 (0s of about 50s), loading fillPositions (0s)');
  vi.advanceTimersByTime(3000);
  expect(terminal.text).toContain('compiling trainStep ×2 (3s of about 50s)');
  report({ name: 'fillPositions', isAhead: true, state: 'failed' });
  report(ready('trainStep', 48, 2));
  report(ready('trainStep', 52));
  expect(terminal.text.endsWith('\n')).toBe(true);
  expect(terminal.text).toContain('trainStep compiled in 48s\n');
  expect(workingTime(Date.now) - before).toBe(3300 - 2000);
  const { length } = terminal.text;
  vi.advanceTimersByTime(5000);
  expect(terminal.text.length).toBe(length);
});

it('leaves the line to other progress', () => {
  const terminal = terminalOf(false);
  const steps = createStatusLine(terminal);
  steps.show('step 1', true);
  const report = createCompileProgress(terminal);
  report(begun('trainStep'));
  vi.advanceTimersByTime(2000);
  report(ready('trainStep', 2));
  expect(terminal.text).toBe('step 1\ntrainStep compiled in 2s\n');
  steps.end();
});
