import { build, defineConfig, type Options } from 'tsup';
import { withoutNode } from './scripts/without-node.js';

/** tsup sets `baseUrl`, which TypeScript 6 takes only under protest. */
export const declarations = { compilerOptions: { ignoreDeprecations: '6.0' } };

const shared: Options = { format: ['esm'], target: 'node20', sourcemap: true, removeNodeProtocol: false };

/**
 * Build of a published library package: ESM and type declarations, dependencies left outside.
 *
 * @param browser - entries to build once more for browsers, without Node's modules, into `dist/browser`; the manifest offers
 *   them under the condition `browser`
 */
export const library = ({ browser, ...options }: Options & { browser?: Options['entry'] }) =>
  defineConfig({
    ...shared,
    dts: declarations,
    clean: true,
    onSuccess: browser && (() => buildForBrowsers({ ...options, entry: browser })),
    ...options,
  });

const buildForBrowsers = (options: Options) =>
  build({
    ...shared,
    ...options,
    config: false,
    outDir: 'dist/browser',
    platform: 'browser',
    target: 'es2022',
    esbuildPlugins: [...(options.esbuildPlugins ?? []), withoutNode()],
  });

/** Build of a command-line application: ESM with a shebang line, no declarations. */
export const application = (options: Options) =>
  defineConfig({ ...shared, clean: true, banner: { js: '#!/usr/bin/env node' }, ...options });
