import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Path of a file that `fixtures/make_fixtures.py` wrote. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
}

/** The names of the files in a folder of fixtures. */
export function fixtureNames(folder: string): string[] {
  return readdirSync(fixturePath(folder)).sort();
}

export function fixtureBytes(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(fixturePath(name)));
}

/** Values of each dtype's fixture tensor [2, 3], as the library that wrote it printed them. */
export const expectedValues: Record<string, number[]> = JSON.parse(readFileSync(fixturePath('expected.json'), 'utf8'));

/** Runs `use` with a new folder, which is removed afterwards. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tb-io-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}
