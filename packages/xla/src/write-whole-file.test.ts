import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeWholeFile } from './write-whole-file.js';

const root = mkdtempSync(join(tmpdir(), 'tb-xla-write-'));
afterAll(() => rmSync(root, { recursive: true }));

it('writes a file in a new folder, and removes what a killed process left of it', () => {
  const folder = join(root, 'cache');
  const path = join(folder, 'program');
  writeWholeFile(path, Uint8Array.of(1));
  const [old, young, other] = ['program.12.1700000000000', 'program.13.1700000000001', 'program.v2'];
  for (const name of [old, young, other]) writeFileSync(join(folder, name), '');
  for (const name of [old, other]) utimesSync(join(folder, name), 1e9, 1e9);
  writeWholeFile(path, Uint8Array.of(2));
  expect(readdirSync(folder).sort()).toEqual(['program', young, other].sort());
  expect([...readFileSync(path)]).toEqual([2]);
});
