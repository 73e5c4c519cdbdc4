import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A folder that comes with this package, found from the sources and from the built file alike. */
export function packageFolder(name: string): string {
  const candidates = ['../', '../../'].map((up) => fileURLToPath(new URL(`${up}${name}`, import.meta.url)));
  return candidates.find((candidate) => existsSync(candidate)) ?? candidates[0];
}
