// Compiles a program that imports every package, and the examples of all READMEs, with the two settings by which TypeScript
// resolves packages as Node and as bundlers do.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { libraries, published } from './packages.js';
import { blocksOf } from './readme-blocks.js';
import { assert, inPairs, root, run, step } from './scratch.js';

/** Once as users compile, and once with the declarations of the packages checked too. */
const settings = [
  { module: 'nodenext', moduleResolution: 'nodenext', skipLibCheck: false },
  { module: 'esnext', moduleResolution: 'bundler', skipLibCheck: true },
];

/** @param folder - where all packages are installed */
export async function compile(folder: string): Promise<void> {
  const sources = join(folder, 'typescript');
  mkdirSync(sources);
  const entries = libraries.flatMap(({ exports }) => exports);
  const imports = entries.map((name, i) => `import * as entry${i} from '${name}';\nconsole.log(entry${i});\n`);
  writeFileSync(join(sources, 'entries.mts'), imports.join(''));
  for (const each of published) {
    const { blocks } = blocksOf(readFileSync(join(root, each.folder, 'README.md'), 'utf8'));
    for (const { code, line } of blocks.filter(({ extension }) => extension === 'mts'))
      writeFileSync(join(sources, `${each.folder.replace('/', '-')}-line-${line}.mts`), code);
  }
  await inPairs(settings, (setting) => step(`TypeScript, ${setting.moduleResolution}`, () => check(folder, setting)));
}

async function check(folder: string, setting: (typeof settings)[number]): Promise<void> {
  const file = `tsconfig.${setting.moduleResolution}.json`;
  const compilerOptions = {
    ...setting,
    target: 'es2022',
    lib: ['es2023', 'dom'],
    types: ['node'],
    strict: true,
    noEmit: true,
  };
  writeFileSync(join(folder, file), JSON.stringify({ compilerOptions, include: ['typescript'] }));
  const compiler = join(folder, 'node_modules/.bin/tsc');
  const output = await run(compiler, ['--project', file, '--pretty', 'false'], { cwd: folder, codes: [0, 2] });
  // Declarations of other packages are not ours to check.
  const errors = output.split('\n').filter((line) => /error TS/.test(line) && !/^node_modules\/(?!@tb\/)/.test(line));
  assert(errors.length === 0, `tsc with ${setting.moduleResolution}:\n${errors.join('\n')}`);
}
