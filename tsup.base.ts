import { defineConfig, type Options } from 'tsup';

/** tsup sets `baseUrl`, which TypeScript 6 takes only under protest. */
const declarations = { compilerOptions: { ignoreDeprecations: '6.0' } };

/** Build of a published library package: ESM and type declarations, dependencies left outside. */
export const library = (options: Options) =>
  defineConfig({
    format: ['esm'],
    target: 'node20',
    dts: declarations,
    sourcemap: true,
    clean: true,
    removeNodeProtocol: false, // the field "browser" of package.json names Node's modules as the sources do
    ...options,
  });

/** Build of a command-line application: ESM with a shebang line, no declarations. */
export const application = (options: Options) =>
  defineConfig({
    format: ['esm'],
    target: 'node20',
    sourcemap: true,
    clean: true,
    banner: { js: '#!/usr/bin/env node' },
    ...options,
  });
