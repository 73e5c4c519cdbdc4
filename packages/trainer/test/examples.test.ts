import { readdirSync, readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

const folder = new URL('../examples/', import.meta.url);
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

it.each(readdirSync(folder))('README shows examples/%s, and it does what it says', async (name) => {
  expect(readme).toContain(readFileSync(new URL(name, folder), 'utf8'));
  const print = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import(new URL(name, folder).href);
  expect(print).toHaveBeenLastCalledWith('step 200: loss 0.0000');
});
