import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The page of `tb-sample serve`, with addresses relative to it, so that it can be served under any path. */
export default defineConfig({
  root: here('.'),
  base: './',
  resolve: { conditions: ['@tb/source', 'browser', 'module', 'import', 'default'] },
  build: {
    outDir: here('../dist/page'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the policy of the page allows no data: fonts or scripts
  },
});
