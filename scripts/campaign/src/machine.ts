import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { root } from './root.js';

/** Where a campaign ran, and what it ran. */
export type Machine = {
  processor: string;
  cores: number;
  /** GiB of memory. */
  memory: number;
  system: string;
  node: string;
  tensorflow: string;
  /** The commit that is checked out, with "+" when files differ from it; "unknown" outside a repository. */
  commit: string;
};

export function describeMachine(): Machine {
  return {
    processor: processorName(),
    cores: availableParallelism(),
    memory: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version,
    tensorflow: tf.version_core,
    commit: commitOf(root),
  };
}

/** Some virtual machines name their processor in one place and not in the other. */
function processorName(): string {
  const [first] = cpus();
  if (first !== undefined && !/^(unknown)?$/.test(first.model.trim())) return first.model.trim();
  try {
    return /^model name\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch;
  } catch {
    return process.arch;
  }
}

function commitOf(folder: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}
