import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { readSafetensors, readStateDict } from '../src/index.js';
import { fixturePath, withFolder } from '../src/testing/fixtures.js';

const folder = new URL('../examples/', import.meta.url);
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const start = process.cwd();

afterEach(() => {
  process.chdir(start);
  vi.restoreAllMocks();
});

/** Runs an example in a folder with the file that one of them reads, and returns the lines that it prints. */
async function linesOf(example: string, workFolder: string): Promise<string[]> {
  cpSync(fixturePath('training-protocol-2.pth'), join(workFolder, 'checkpoint.pth'));
  process.chdir(workFolder);
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import(new URL(example, folder).href);
  return log.mock.calls.map((words) => words.join(' '));
}

it.each(readdirSync(folder))('the README shows examples/%s as it is', (example) => {
  expect(readme).toContain(readFileSync(new URL(example, folder), 'utf8'));
});

it('converts a checkpoint', () =>
  withFolder(async (workFolder) => {
    expect(await linesOf('convert-checkpoint.ts', workFolder)).toContain('running_mean F32 [2]');
    const { tensors, metadata } = await readSafetensors(join(workFolder, 'weights.safetensors'));
    expect({ ...metadata }).toEqual({ format: 'pt' });
    expect({ ...tensors }).toEqual({ ...(await readStateDict(fixturePath('training-protocol-2.pth'), 'state_dict')) });
  }));

it('reads a part of a file', () =>
  withFolder(async (workFolder) => {
    expect(await linesOf('read-a-part.ts', workFolder)).toEqual([
      'F32 1000,4',
      '2,4 2000,2001,2002,2003,2004,2005,2006,2007',
    ]);
  }));

it('writes samples piece by piece', () =>
  withFolder(async (workFolder) => {
    const lines = await linesOf('write-samples.ts', workFolder);
    expect(lines).toEqual(['batch 50,8,8,3 first value 0', 'batch 50,8,8,3 first value 50']);
  }));
