import { isBuiltin } from 'node:module';
import type { Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

/** The module that replacements import; its source is `unavailable`. */
export const helper = 'without-node:unavailable';

/**
 * An esbuild plugin for browsers: whatever is imported from Node's modules can be imported, and throws when it is used. So a
 * package keeps its functions on files among its exports, and bundlers never meet `node:fs`.
 */
export const withoutNode = (): Plugin => ({
  name: 'without-node',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path }) =>
      path === helper || isBuiltin(path) ? { path, namespace: 'without-node', sideEffects: false } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'without-node' }, async ({ path }) => ({
      contents: path === helper ? unavailable : await replacement(path),
    }));
  },
});

export const unavailable = `
  export function unavailable(module, name) {
    const fail = () => {
      throw new Error(
        name + ' of ' + module + ' is not available in browsers: pass bytes in place of a path, or run this in Node.js',
      );
    };
    return new Proxy(function () {}, { get: fail, apply: fail, construct: fail });
  }`;

/** A module with the names of one of Node's. */
export async function replacement(path: string): Promise<string> {
  const names = Object.keys(await import(path)).filter((name) => name !== 'default');
  const value = (name: string) => `/* @__PURE__ */ unavailable(${JSON.stringify(path)}, ${JSON.stringify(name)})`;
  return [
    `import { unavailable } from ${JSON.stringify(helper)};`,
    ...names.map((name) => `export const ${name} = ${value(name)};`),
    `export default ${value('default')};`,
  ].join('\n');
}
