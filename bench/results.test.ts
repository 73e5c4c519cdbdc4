import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { commandOf, mergeResults, type Result, report } from './results.js';

const result = (measured: Record<string, unknown>): Result => ({
  date: '2026-11-24',
  hardware: 'a card',
  versions: { node: '20' },
  command: 'first',
  ...measured,
});

describe('commandOf', () => {
  it('says how to start the program anywhere, bundled or not', () => {
    const expected = 'node --import tsx --conditions=@tb/source bench/large-train.ts --batch 8';
    expect(commandOf(['node', '/home/me/bench/large-train.ts', '--batch', '8'])).toBe(expected);
    expect(commandOf(['node', '/elsewhere/large-train.mjs', '--batch', '8'])).toBe(expected);
  });
});

describe('mergeResults', () => {
  it('keeps what the other program measured, with both commands', () => {
    const merged = mergeResults(result({ tokenMs: 3 }), result({ command: 'second', imageSeconds: 1 }));
    expect(merged).toMatchObject({ tokenMs: 3, imageSeconds: 1, command: 'first && second' });
    expect(mergeResults(merged, result({ command: 'second', tokenMs: 2 }))).toMatchObject({
      tokenMs: 2,
      command: 'first && second',
    });
  });
});

describe('mergeResults of two machines', () => {
  it('says which program ran on which', () => {
    const [first, second] = ['train', 'sample'].map((name) => `node bench/large-${name}.ts --batch 8`);
    const merged = mergeResults(
      result({ command: first }),
      result({ command: second, hardware: 'another card', tokenMs: 3 }),
    );
    expect(merged.hardware).toBe('a card (large-train), another card (large-sample)');
  });
});

describe('report', () => {
  it('writes what a second program completes', () => {
    const print = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const path = join(mkdtempSync(join(tmpdir(), 'bench-')), 'results', 'large.json');
    report(result({ trainImagesPerSecond: 100 }), path);
    report(result({ command: 'second', tokenMs: 3 }), path);
    expect(print).toHaveBeenCalledTimes(2);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ trainImagesPerSecond: 100, tokenMs: 3 });
    print.mockRestore();
  });
});
