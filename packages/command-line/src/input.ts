import { existsSync } from 'node:fs';
import { UsageError } from './options.js';

/** @throws UsageError when there is no file or folder of that name */
export function assertExists(flag: string, path: string): void {
  if (!existsSync(path)) throw new UsageError(`${flag} ${path} does not exist`);
}
