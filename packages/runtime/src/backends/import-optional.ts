import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Imports a package that this one does not depend on: from here, or else from the folder of the running program,
 * because strict package managers show an application's packages only to the application.
 *
 * @throws Error with the command that installs the package when it is nowhere, and in browsers, where a page imports it itself
 */
export async function importOptional<Module>(name: string): Promise<Module> {
  if (typeof process === 'undefined') throw new Error(`${name} is not part of this page, or needs Node.js`);
  const path = resolveOptional(name);
  if (!path) throw new Error(`${name} is not installed: npm install ${name}`);
  return import(/* @vite-ignore */ /* webpackIgnore: true */ pathToFileURL(path).href);
}

/** The path of a package's entry file, or undefined if the package is not installed. */
export function resolveOptional(name: string): string | undefined {
  for (const from of searchFolders()) {
    try {
      return createRequire(join(from, 'package.json')).resolve(name);
    } catch {
      // not visible from this folder
    }
  }
  return undefined;
}

function searchFolders(): string[] {
  return [import.meta.dirname, process.argv[1] && dirname(process.argv[1]), process.cwd()].filter(Boolean) as string[];
}
