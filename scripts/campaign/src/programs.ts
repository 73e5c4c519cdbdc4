// The programs that campaigns attack, bundled so that a process starts in a tenth of a second.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { tfjsGradients } from '../../../packages/runtime/scripts/tfjs-gradients.js';
import { root } from './root.js';

const sources = {
  'tb-train': 'apps/train/src/cli.ts',
  'tb-sample': 'apps/sample/src/cli.ts',
  train: 'scripts/campaign/programs/train.ts',
  evaluate: 'scripts/campaign/programs/evaluate.ts',
  fuzz: 'scripts/campaign/programs/fuzz.ts',
  hostile: 'scripts/campaign/programs/hostile.ts',
  soak: 'scripts/campaign/programs/soak.ts',
};

export type ProgramName = keyof typeof sources;

/** Threads are started from files, which have their own bundles. */
const workers = { 'decode-worker': 'packages/trainer/src/data/decode-worker.ts' };

/** Packages that cannot be bundled: native ones, and those that find files next to their own. Each with one that has it. */
const external = {
  sharp: 'packages/images',
  koffi: 'packages/xla',
  '@tensorflow/tfjs-core': 'packages/runtime',
  '@tensorflow/tfjs-backend-cpu': 'packages/runtime',
  '@tensorflow/tfjs-backend-wasm': 'packages/runtime',
};

/** Bundles are ES modules; what they contain of CommonJS needs `require`. */
const banner = "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);";

/**
 * Bundles the programs.
 *
 * @param folder - where; it gets the layout of an installed package
 * @returns the path of each program
 */
export async function bundlePrograms(folder: string): Promise<Record<ProgramName, string>> {
  linkExternals(join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "version": "0.0.0" }\n');
  await build({
    absWorkingDir: root,
    entryPoints: { ...sources, ...workers },
    outdir: join(folder, 'dist'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['@tb/source'],
    external: [...Object.keys(external), '@tensorflow/*'],
    plugins: [tfjsGradients()],
    banner: { js: banner },
    logLevel: 'error',
  });
  const paths = Object.keys(sources).map((name) => [name, join(folder, 'dist', `${name}.js`)]);
  return Object.fromEntries(paths);
}

function linkExternals(modules: string): void {
  for (const [name, owner] of Object.entries(external)) {
    const target = join(modules, name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(root, owner, 'node_modules', name), target);
  }
}
