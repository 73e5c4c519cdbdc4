import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const folder = new URL('../examples/', import.meta.url);
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

it.each(readdirSync(folder))('README shows examples/%s, and it runs', async (name) => {
  expect(readme).toContain(readFileSync(new URL(name, folder), 'utf8'));
  await import(new URL(name, folder).href);
});
