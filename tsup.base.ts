import { defineConfig, type Options } from 'tsup';

/** Build of a published library package: ESM and type declarations, dependencies left outside. */
export const library = (options: Options) =>
  defineConfig({ format: ['esm'], target: 'node20', dts: true, sourcemap: true, clean: true, ...options });

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
