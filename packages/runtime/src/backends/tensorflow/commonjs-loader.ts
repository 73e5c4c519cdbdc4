import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { compileFunction } from 'node:vm';

type Exports = Record<string, unknown>;

/**
 * Returns a function that runs a CommonJS file, and the files that it requires by relative path, with some modules replaced
 * by `provided`. So a package in any folder shares this program's copy of its dependencies, and one written for an older
 * Node gets what newer ones removed, without a change to its files or to other modules.
 */
export function commonJsLoader(provided: Readonly<Record<string, unknown>>): (file: string) => Exports {
  const modules = new Map<string, { exports: Exports }>();

  const load = (file: string): Exports => {
    const known = modules.get(file);
    if (known) return known.exports;
    const module = { exports: {} };
    modules.set(file, module);
    const nodeRequire = createRequire(file);
    const require = (name: string) => {
      if (Object.hasOwn(provided, name)) return provided[name];
      return name.startsWith('.') ? load(nodeRequire.resolve(name)) : nodeRequire(name);
    };
    const run = compileFunction(
      readFileSync(file, 'utf8'),
      ['exports', 'require', 'module', '__filename', '__dirname'],
      { filename: file },
    );
    run.call(module.exports, module.exports, require, module, file, dirname(file));
    return module.exports;
  };

  return load;
}
