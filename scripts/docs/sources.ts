// What the documentation is made from.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const repository = 'https://github.com/tokenbridge/tokenbridge';

export type Library = {
  /** Name by which it is imported. */
  name: string;
  /** Of the package, relative to the root. */
  folder: string;
  /** Path of the module that is imported. */
  source: string;
  /** Whether it is the package itself rather than a path below it. */
  isRoot: boolean;
};

/** Every module of a published package. */
export const libraries: Library[] = readdirSync(join(root, 'packages')).flatMap((name) => {
  const folder = `packages/${name}`;
  if (!existsSync(join(root, folder, 'package.json'))) return [];
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  if (manifest.private) return [];
  const exports = Object.entries<{ '@tb/source'?: string }>(manifest.exports);
  return exports.flatMap(([path, { '@tb/source': source }]) =>
    source
      ? [{ name: manifest.name + path.slice(1), folder, source: join(root, folder, source), isRoot: path === '.' }]
      : [],
  );
});

const pagesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, folder, name));

/** Pages of prose. */
export const guides: string[] = [
  ...['apps/train/README.md', 'apps/sample/README.md', 'CONTRIBUTING.md'].map((path) => join(root, path)),
  ...pagesIn('docs'),
  ...(existsSync(join(root, 'docs/decisions')) ? pagesIn('docs/decisions') : []),
];
