import { isBuiltin } from 'node:module';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { helper, replacement, unavailable } from '../../../scripts/without-node.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Packages whose functions the Worker never calls. */
const unused = ['sharp', '@tensorflow/tfjs-backend-cpu'];

/** The build of @tb/runtime puts a bundle of TensorFlow.js's gradients in the place of this file; so does this one. */
const gradients = 'packages/runtime/src/backends/tfjs-gradients.ts';

/** As in the packages' entries for browsers: what is imported from Node's modules throws when it is used. */
const withoutNode = (): Plugin => ({
  name: 'without-node',
  enforce: 'pre',
  resolveId: (id) =>
    id === helper || isBuiltin(id) || unused.includes(id) ? { id: `\0${id}`, moduleSideEffects: false } : undefined,
  async load(id) {
    if (id.endsWith(gradients))
      return { code: "import '@tensorflow/tfjs-core/dist/register_all_gradients.js';", moduleSideEffects: true };
    if (!id.startsWith('\0')) return undefined;
    const name = id.slice(1);
    if (name === helper) return unavailable;
    if (unused.includes(name)) return 'export default undefined;';
    return isBuiltin(name) ? replacement(name) : undefined;
  },
});

/**
 * The page of `tb-sample serve`, and in the mode `site` the static site, which computes in a Worker. Addresses are relative to
 * the page, so that both can be served under any path.
 */
export default defineConfig(({ mode }) => {
  const isSite = mode === 'site';
  return {
    root: here('.'),
    base: './',
    publicDir: isSite ? here('site-files') : false,
    resolve: { conditions: ['@tb/source', 'browser', 'module', 'import', 'default'] },
    // The Worker never takes the path of Node, and its modules need not be bundled.
    define: { 'typeof process': '"undefined"' },
    plugins: [withoutNode()],
    worker: { format: 'es', plugins: () => [withoutNode()] },
    build: {
      outDir: here(isSite ? '../dist/site' : '../dist/page'),
      emptyOutDir: true,
      target: 'es2022',
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0, // the policy of the page allows no fonts or scripts in data: addresses
      rolldownOptions: { input: here(isSite ? 'site.html' : 'index.html') },
      chunkSizeWarningLimit: 2000,
    },
  };
});
