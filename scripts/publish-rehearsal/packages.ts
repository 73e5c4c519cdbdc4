// The packages of the workspace, found by their manifests.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './scratch.js';

export type Package = {
  name: string;
  /** Relative to the root of the repository. */
  folder: string;
  isPrivate: boolean;
  /** Names of its programs. */
  commands: string[];
  exports: string[];
  dependencies: string[];
};

const folders = ['packages', 'apps'].flatMap((group) =>
  readdirSync(join(root, group)).map((name) => `${group}/${name}`),
);
const all = folders.filter((folder) => existsSync(join(root, folder, 'package.json'))).map(readPackage);

export const published: Package[] = all.filter(({ isPrivate }) => !isPrivate);
export const privateNames: string[] = all.filter(({ isPrivate }) => isPrivate).map(({ name }) => name);
/** Packages with something to import, each under all of its names: `@tb/quantizer`, `@tb/quantizer/tfjs`. */
export const libraries: Package[] = published.filter(({ exports }) => exports.length > 0);
/** The models and everything below them: what docs/architecture.md promises for browsers. */
export const forBrowsers: Package[] = libraries.filter(({ name }) => withDependencies('@tb/tokenbridge').has(name));

function readPackage(folder: string): Package {
  const {
    name,
    private: isPrivate = false,
    exports = {},
    ...manifest
  } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  return {
    name,
    folder,
    isPrivate,
    commands: Object.keys(manifest.bin ?? {}),
    exports: Object.keys(exports)
      .filter((path) => path !== './package.json')
      .map((path) => name + path.slice(1)),
    dependencies: Object.keys(manifest.dependencies ?? {}),
  };
}

/** The names of a package and of all packages of the workspace that it depends on. */
function withDependencies(name: string): Set<string> {
  const own = all.find((each) => each.name === name)?.dependencies.filter((each) => each.startsWith('@tb/')) ?? [];
  return new Set([name, ...own.flatMap((each) => [...withDependencies(each)])]);
}
