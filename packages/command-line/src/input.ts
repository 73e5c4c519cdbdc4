import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './options.js';

/** @throws UsageError when there is no file or folder of that name */
export function assertExists(flag: string, path: string): void {
  if (!existsSync(path)) throw new UsageError(`${flag} ${path} does not exist`);
}

/**
 * The file of weights that a flag names: that file, or what a run of tb-train in that folder ended with.
 *
 * @param kind - what the weights are of, and the command that makes them
 * @throws UsageError when there is none
 */
export function findWeights(flag: string, named: string, kind: 'vae' | 'model'): string {
  assertExists(flag, named);
  if (!statSync(named).isDirectory()) return named;
  const path = join(named, `${kind}.safetensors`);
  if (existsSync(path)) return path;
  throw new UsageError(`${flag} ${named} holds no ${kind}.safetensors; tb-train ${kind} writes it when it is finished`);
}
