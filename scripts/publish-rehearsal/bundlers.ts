// The four bundlers, each with the settings that a web page needs. They work in `folder` and write to `folder/<name>/bundle.js`;
// whatever would be missing in a browser is an error.
import { join } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import json from '@rollup/plugin-json';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import * as esbuild from 'esbuild';
import { rollup } from 'rollup';
import { build, createLogger } from 'vite';
import webpack from 'webpack';

type Bundler = (folder: string, entry: string) => Promise<void>;

export const bundlers: Record<string, Bundler> = {
  async Vite(folder, entry) {
    const logger = createLogger('error');
    logger.warn = (message) => {
      if (/externalized/.test(message)) throw new Error(message);
    };
    await build({
      root: folder,
      configFile: false,
      customLogger: logger,
      logLevel: 'error',
      build: {
        outDir: 'Vite',
        target: 'es2022',
        rollupOptions: { input: join(folder, entry), output: { entryFileNames: 'bundle.js' } },
        modulePreload: false,
      },
    });
  },

  webpack: (folder, entry) =>
    new Promise((resolve, reject) => {
      const output = { path: join(folder, 'webpack'), filename: 'bundle.js', publicPath: 'auto' };
      const compiler = webpack({
        context: folder,
        entry: `./${entry}`,
        mode: 'production',
        output,
        performance: false,
      });
      compiler?.run((error, stats) => {
        if (error || stats?.hasErrors())
          reject(error ?? new Error(stats?.toString({ preset: 'errors-only', colors: false, errorStack: false })));
        else compiler.close(() => resolve());
      });
    }),

  async Rollup(folder, entry) {
    const bundle = await rollup({
      input: join(folder, entry),
      plugins: [nodeResolve({ browser: true }), commonjs(), json()],
      onwarn({ code, message }) {
        if (code === 'UNRESOLVED_IMPORT' || code === 'MISSING_EXPORT') throw new Error(message);
      },
    });
    await bundle.write({ dir: join(folder, 'Rollup'), entryFileNames: 'bundle.js', format: 'es' });
    await bundle.close();
  },

  async esbuild(folder, entry) {
    await esbuild.build({
      absWorkingDir: folder,
      entryPoints: [entry],
      outfile: 'esbuild/bundle.js',
      bundle: true,
      minify: true,
      format: 'esm',
      logLevel: 'silent',
    });
  },
};

/** As a server is bundled: one CommonJS file; native modules stay outside. */
export async function bundleForServer(folder: string, entry: string): Promise<void> {
  await esbuild.build({
    absWorkingDir: folder,
    entryPoints: [entry],
    outfile: 'server/bundle.cjs',
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['sharp'],
    logLevel: 'silent',
  });
}
