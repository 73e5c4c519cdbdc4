import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { commandOf, mergeResults, type Result, type ResultsFile, report } from './results.js';

const result = (measured: Record<string, unknown>): Result => ({
  date: '2026-11-24',
  hardware: 'a card',
  versions: { node: '20' },
  command: 'first',
  preset: 'large',
  precision: 'bf16',
  ...measured,
});

describe('commandOf', () => {
  it('states how to start the program anywhere, bundled or not', () => {
    const expected = 'node --import tsx --conditions=@tb/source bench/large-train.ts --batch 8';
    expect(commandOf(['node', '/home/me/bench/large-train.ts', '--batch', '8'])).toBe(expected);
    expect(commandOf(['node', '/elsewhere/large-train.mjs', '--batch', '8'])).toBe(expected);
  });
});

describe('mergeResults', () => {
  const first = mergeResults(undefined, result({ tokenMs: 3, images: 8 }));

  it('states for each call where it ran and which figures come from it', () => {
    const other = { command: 'second', hardware: 'another card', date: '2026-11-25' };
    const merged = mergeResults(first, result({ ...other, seconds: 1 }));
    expect(merged).toMatchObject({ ...other, command: 'first && second', hardware: 'a card, another card' });
    expect(merged).toMatchObject({ tokenMs: 3, images: 8, seconds: 1 });
    expect(merged.measurements).toMatchObject([
      { command: 'first', hardware: 'a card', date: '2026-11-24', figures: ['tokenMs', 'images'] },
      { ...other, figures: ['seconds'] },
    ]);
  });

  it('forgets a call whose figures were all measured again', () => {
    const part = mergeResults(first, result({ command: 'second', tokenMs: 2 }));
    expect(part.measurements.map(({ figures }) => figures)).toEqual([['images'], ['tokenMs']]);
    const all = mergeResults(part, result({ command: 'third', tokenMs: 1, images: 9 }));
    expect(all).toMatchObject({ tokenMs: 1, images: 9, command: 'third' });
    expect(all.measurements).toHaveLength(1);
  });

  it('takes what a program reports in parts for one call', () => {
    const { measurements } = mergeResults(first, result({ seconds: 1 }));
    expect(measurements).toMatchObject([{ command: 'first', figures: ['tokenMs', 'images', 'seconds'] }]);
  });

  it('leaves the figures of another preset or precision next to those of the file', () => {
    const single = mergeResults(first, result({ precision: 'fp32', tokenMs: 6 }));
    expect(single).toMatchObject({ precision: 'bf16', tokenMs: 3, fp32: { tokenMs: 6 } });
    const merged = mergeResults(single, result({ command: 'second', precision: 'fp32', preset: 'huge', tokenMs: 9 }));
    expect(merged).toMatchObject({ preset: 'large', tokenMs: 3, fp32: { tokenMs: 6 }, 'huge fp32': { tokenMs: 9 } });
    expect(merged.measurements.at(-1)?.figures).toEqual(['huge fp32.tokenMs']);
  });
});

describe('the files in results/', () => {
  const folder = new URL('results/', import.meta.url);
  it.each(readdirSync(folder))('%s states where each figure comes from', (name) => {
    const { measurements, ...held }: ResultsFile = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
    const { date, hardware, versions, command, preset, precision, revision, ...figures } = held;
    const attributed = measurements.flatMap((call) => call.figures);
    const present = Object.entries(figures).flatMap(([figure, value]) =>
      attributed.includes(figure) ? [figure] : Object.keys(value as object).map((each) => `${figure}.${each}`),
    );
    expect(attributed.sort()).toEqual(present.sort());
    expect(hardware).toBe([...new Set(measurements.map((call) => call.hardware))].join(', '));
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
