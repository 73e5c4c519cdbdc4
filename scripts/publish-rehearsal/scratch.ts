// Where the rehearsal works: a temporary folder, programs that run in it, and lines that report progress.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const scratch = mkdtempSync(join(tmpdir(), 'tb-publish-'));

const folders = (process.env.PATH ?? '').split(delimiter);
const managers = folderOfManagers();

/** A folder with the programs `pnpm` and `yarn`. */
function folderOfManagers(): string {
  const folder = join(scratch, 'bin');
  mkdirSync(folder);
  const pnpm = folders.map((each) => join(each, 'pnpm')).find((file) => existsSync(file));
  if (!pnpm) throw new Error('start the rehearsal by `pnpm test:publish`, or `npx -y pnpm@12 test:publish`');
  symlinkSync(pnpm, join(folder, 'pnpm'));
  symlinkSync(join(root, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js'), join(folder, 'yarn'));
  return folder;
}

/** A new empty folder outside the workspace. */
export function emptyFolder(name: string): string {
  const folder = join(scratch, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

export type RunOptions = {
  cwd: string;
  env?: NodeJS.ProcessEnv;
  /** Exit codes that are no failure; default 0 alone. */
  codes?: number[];
  /** Milliseconds; default three minutes. */
  timeout?: number;
};

/**
 * Runs a program to its end.
 *
 * @returns what it printed, standard output and errors in one
 * @throws Error with the command and the end of its output when it fails
 */
export async function run(command: string, args: string[], options: RunOptions): Promise<string> {
  const { cwd, env, codes = [0], timeout = 180_000 } = options;
  const child = spawn(command, args, {
    cwd,
    env: { ...consumerEnvironment(), ...env },
    timeout,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const code = await new Promise<number | string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve(status ?? `signal ${signal}`));
  });
  if (codes.includes(code as number)) return output;
  throw new Error(`${command} ${args.join(' ')}\n  in ${cwd}\n  ended with ${code}:\n${tail(output)}`);
}

const tail = (output: string) =>
  output
    .trimEnd()
    .split('\n')
    .slice(-25)
    .map((line) => `    ${line}`)
    .join('\n');

/** The environment of somebody outside the workspace: nothing of the `pnpm` that started the rehearsal, but pnpm and Yarn. */
function consumerEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|pnpm_|PNPM_|INIT_CWD$|NODE_OPTIONS$|TB_)/.test(name),
  );
  const path = [managers, ...folders.filter((folder) => !folder.includes('node_modules'))].join(delimiter);
  return { ...Object.fromEntries(inherited), PATH: path, CI: 'true', NO_COLOR: '1' };
}

/** Runs one step and prints a line when it is done. */
export async function step<Result>(name: string, work: () => Promise<Result> | Result): Promise<Result> {
  const start = performance.now();
  const result = await work();
  console.log(`  ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  return result;
}

/** Two at a time: the packages are small, and so are many machines. Works to the end, and then throws the first error. */
export async function inPairs<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const errors: unknown[] = [];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift())
      await work(item).catch((error) => errors.push(error));
  };
  await Promise.all([worker(), worker()]);
  if (errors.length > 0) throw errors[0];
}

/** @throws Error with `message` unless `condition` holds */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
