import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { resolveOptional } from '../import-optional.js';
import { TensorflowProblem } from './problem.js';
import { runProgram } from './run-program.js';

/** The version of tfjs-node that this code works with; it belongs to tfjs of the same version. */
export const tfjsNodeVersion = '4.22.0';

export type SourceOptions = {
  /** Folders of installed packages with the sources; default: those that Node finds. */
  installed?: string[];
  environment?: NodeJS.ProcessEnv;
};

/** Folders of the installed packages that hold the sources, and perhaps a downloaded TensorFlow; the one for GPUs first. */
export function tfjsNodeFolders(): string[] {
  return ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'].flatMap((name) => installedPackage(name) ?? []);
}

/**
 * The folder of the npm package @tensorflow/tfjs-node, for its C++ sources and its kernels' JavaScript: the installed
 * one, or a copy that npm fetches into the cache folder without running the package's install script.
 */
export async function findSources(
  cacheFolder: string,
  onProgress: (line: string) => void,
  { installed = tfjsNodeFolders(), environment = process.env }: SourceOptions = {},
): Promise<string> {
  const cached = join(cacheFolder, `tfjs-node-${tfjsNodeVersion}`);
  const fitting = installed.find((folder) => packageVersion(folder) === tfjsNodeVersion);
  if (fitting) return fitting;
  if (!existsSync(join(cached, 'package.json'))) await fetchPackage(cached, onProgress, environment);
  return cached;
}

/** The folder of an installed package, whether or not its own install script has run. */
function installedPackage(name: string): string | undefined {
  const manifest = resolveOptional(`${name}/package.json`);
  return manifest && dirname(manifest);
}

/** SHA-256 over the names and contents of the C++ files. */
export function hashSources(folder: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(join(folder, 'binding')).sort()) {
    hash.update(name).update(readFileSync(join(folder, 'binding', name)));
  }
  return hash.digest('hex');
}

function packageVersion(folder: string): string {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version;
}

async function fetchPackage(target: string, onProgress: (line: string) => void, env: NodeJS.ProcessEnv): Promise<void> {
  const name = `@tensorflow/tfjs-node@${tfjsNodeVersion}`;
  onProgress(`fetching the sources of ${name}`);
  const folder = `${target}.${process.pid}.partial`;
  mkdirSync(folder, { recursive: true });
  const packed = await runProgram('npm', ['pack', '--silent', '--ignore-scripts', name], { cwd: folder, env });
  const archive = readdirSync(folder).find((file) => file.endsWith('.tgz'));
  const unpacked = archive ? await runProgram('tar', ['-xzf', archive], { cwd: folder, env }) : packed;
  if (!archive || unpacked.code !== 0) {
    rmSync(folder, { recursive: true, force: true });
    throw new TensorflowProblem(
      'no-sources',
      `npm could not fetch ${name}: ${unpacked.stderr.trim()}`,
      `npm install --ignore-scripts ${name}`,
    );
  }
  rmSync(target, { recursive: true, force: true });
  renameSync(join(folder, 'package'), target);
  rmSync(folder, { recursive: true, force: true });
}
