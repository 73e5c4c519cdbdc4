import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { resolveOptional } from '../import-optional.js';
import { TensorflowProblem } from './problem.js';
import { runProgram } from './run-program.js';
import type { Wheel } from './wheel.js';

export type BuildOptions = {
  wheel: Wheel;
  /** Folder of the npm package @tensorflow/tfjs-node. It is only read. */
  sources: string;
  /** Where to build; made when missing. */
  folder: string;
  onProgress: (line: string) => void;
  environment?: NodeJS.ProcessEnv;
};

/**
 * Compiles tfjs-node's addon against an installed TensorFlow, with node-gyp, in a separate folder.
 *
 * @returns the addon's path
 * @throws TensorflowProblem when there is no compiler or it fails
 */
export async function buildAddon(options: BuildOptions): Promise<string> {
  const { wheel, sources, folder, onProgress, environment = process.env } = options;
  await assertCompiler(environment);
  mkdirSync(folder, { recursive: true });
  cpSync(join(sources, 'binding'), join(folder, 'binding'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"name": "tfjs-binding", "version": "0.0.0", "private": true}\n');
  writeFileSync(join(folder, 'binding.gyp'), `${JSON.stringify(buildDescription(wheel), null, 2)}\n`);
  onProgress(`compiling against TensorFlow ${wheel.version}; this takes about half a minute`);
  const [command, args] = nodeGyp();
  const built = await runProgram(command, [...args, 'rebuild', '--directory', folder, ...nodeHeaders()], {
    env: { ...environment, PYTHON: wheel.python },
    onLine: (line) => !line.startsWith('gyp info') && onProgress(line),
  });
  const addon = join(folder, 'build', 'Release', 'tfjs_binding.node');
  if (built.code !== 0 || !existsSync(addon)) {
    throw new TensorflowProblem(
      'build-failed',
      `the addon did not compile against TensorFlow ${wheel.version}:\n${lastLines(built.stderr, 15)}`,
      'read the compiler messages above; node-gyp needs a C++17 compiler, make, and the headers of this Node',
    );
  }
  return addon;
}

/** @throws TensorflowProblem when no C++ compiler or make is on the path */
export async function assertCompiler(environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  if (process.platform === 'win32') return; // node-gyp finds Visual Studio by itself
  const missing: string[] = [];
  for (const [name, command] of [
    ['a C++ compiler', environment.CXX ?? 'c++'],
    ['make', environment.MAKE ?? 'make'],
  ]) {
    const { code } = await runProgram(command, ['--version'], { env: environment });
    if (code !== 0) missing.push(`${name} (${command})`);
  }
  if (missing.length === 0) return;
  throw new TensorflowProblem(
    'no-compiler',
    `the addon cannot be compiled without ${missing.join(' and ')}`,
    process.platform === 'darwin'
      ? 'xcode-select --install'
      : 'sudo apt install g++ make   (or: sudo dnf install gcc-c++ make)',
  );
}

/** A binding.gyp for the sources of tfjs-node that links the wheel's libraries by their full path. */
function buildDescription({ folder, cudaLibraries }: Wheel): object {
  const libraries = [join(folder, 'libtensorflow_cc.so.2'), join(folder, 'libtensorflow_framework.so.2')];
  const searched = new Set([...libraries, ...cudaLibraries].map((library) => dirname(library)));
  return {
    targets: [
      {
        target_name: 'tfjs_binding',
        sources: ['binding/tfjs_backend.cc', 'binding/tfjs_binding.cc'],
        include_dirs: [join(folder, 'include')],
        defines: ['NAPI_VERSION=8'],
        cflags_cc: ['-std=c++17', '-Wno-deprecated-declarations', '-Wno-sign-compare'],
        ldflags: [...searched].map((path) => `-Wl,-rpath,${path}`),
        // TensorFlow opens the CUDA libraries by bare name: loaded with the addon, they are there already.
        libraries: ['-Wl,--no-as-needed', ...libraries, ...cudaLibraries],
      },
    ],
  };
}

/** The command that runs node-gyp: an installed one, npm's own, or one that npx fetches. */
function nodeGyp(): [string, string[]] {
  const installed = resolveOptional('node-gyp/bin/node-gyp.js');
  if (installed) return [process.execPath, [installed]];
  const prefix = dirname(dirname(process.execPath));
  const bundled = join(prefix, 'lib', 'node_modules', 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  return existsSync(bundled) ? [process.execPath, [bundled]] : ['npx', ['--yes', 'node-gyp@12']];
}

/** Points node-gyp to the headers of Node's installation, if they are there; it would download them. */
function nodeHeaders(): string[] {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

function lastLines(text: string, count: number): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
