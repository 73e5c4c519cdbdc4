import { readFileSync } from 'node:fs';

/**
 * The version of the package that a module belongs to.
 *
 * @param module - URL of a module in a folder next to the package's manifest, as `src` and `dist` are
 */
export function packageVersion(module: string): string {
  return JSON.parse(readFileSync(new URL('../package.json', module), 'utf8')).version;
}
