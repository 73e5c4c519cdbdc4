/**
 * Brings the gradients of TensorFlow.js's operations into this package.
 *
 * They are in @tensorflow/tfjs-core, in modules that Node cannot import: their imports have no file endings. The package
 * that has them in a form for Node is the umbrella @tensorflow/tfjs, 200 MB with what it depends on. So they are bundled:
 * by the plugin when this package is built, and by `bundleGradients` when its sources are run (tests, `tsx`).
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import type { Plugin } from 'esbuild';

const core = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core/package.json'));
const gradients = join(core, 'dist', 'register_all_gradients.js');

/**
 * An esbuild plugin that puts TensorFlow.js's gradients in the place of `src/backends/tfjs-gradients.ts`. What they import
 * from other modules of tfjs-core they get from the package itself, so that nothing of it is bundled twice.
 */
export const tfjsGradients = (): Plugin => ({
  name: 'tfjs-gradients',
  setup({ onResolve, onLoad }) {
    const namespace = 'tfjs-gradients'; // apart from the modules of tfjs-core itself, which may be bundled too
    onResolve({ filter: /\/tfjs-gradients\.js$/ }, () => ({ path: gradients, namespace, sideEffects: true }));
    onResolve({ filter: /^\./, namespace }, ({ path, importer }) => ({
      path: join(dirname(importer), `${path}.js`),
      namespace,
    }));
    onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll(importStatement, fromPublicNames),
      resolveDir: dirname(fileURLToPath(import.meta.url)),
    }));
  },
});

/**
 * Bundles the gradients into a file, unless that is done already.
 *
 * @returns the file's URL
 */
export async function bundleGradients(): Promise<string> {
  const folder = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url));
  const file = join(folder, `tfjs-gradients-${tf.version_core}.mjs`);
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    const { build } = await import('esbuild');
    const temporary = `${file}.${process.pid}`; // other processes may be bundling too
    await build({
      stdin: { contents: "import './tfjs-gradients.js';", resolveDir: folder },
      outfile: temporary,
      bundle: true,
      format: 'esm',
      external: ['@tensorflow/tfjs-core'],
      plugins: [tfjsGradients()],
      logLevel: 'error',
    });
    renameSync(temporary, file);
  }
  return pathToFileURL(file).href;
}

const importStatement = /^import (?:\{([^}]*)\}|\* as (\w+)) from '\.[^']*\/(\w+)';/gm;

/** Modules whose functions the package exports as members of one object. */
const members: Record<string, string> = {
  axis_util: 'backend_util',
  broadcast_util: 'broadcast_util',
  conv_util: 'backend_util',
  selu_util: 'backend_util',
  slice_util: 'slice_util',
  util: 'util',
};

/** Replaces a module that the package does not export. */
const stands: Record<string, string> = {
  engine: "import { engine } from '@tensorflow/tfjs-core';\nconst ENGINE = engine();",
  tensor_util_env: 'const convertToTensor = (tensor) => tensor;', // gradients pass nothing but tensors
};

/** The same import from what the package exports; unchanged, so that the module is bundled, if it does not export that. */
function fromPublicNames(statement: string, names: string | undefined, object: string | undefined, module: string) {
  const group = members[module];
  if (object) return `import { ${group} as ${object} } from '@tensorflow/tfjs-core';`;
  if (stands[module]) return stands[module];
  if (group) return `import { ${group} } from '@tensorflow/tfjs-core';\nconst {${names}} = ${group};`;
  const arePublic = names!.split(',').every((name) => name.trim().split(' ')[0] in tf);
  return arePublic ? `import {${names}} from '@tensorflow/tfjs-core';` : statement;
}
