// Installs with every package manager, in empty folders.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { libraries, published } from './packages.js';
import type { Registry } from './registry.js';
import { assert, emptyFolder, run, step } from './scratch.js';

const managers = {
  npm: { add: ['install'], run: ['node'] },
  pnpm: { add: ['add'], run: ['node'] },
  yarn: { add: ['add'], run: ['yarn', 'node'] },
};
type Manager = keyof typeof managers;

/** @tb/quantizer alone: it installs everywhere, brings nothing along, and runs as an ES module and by `require`. */
export async function installQuantizer(registry: Registry): Promise<void> {
  const program = "const { createQuantizer } = await import('@tb/quantizer'); console.log(createQuantizer().levels);";
  for (const manager of Object.keys(managers) as Manager[]) {
    await step(`@tb/quantizer by ${manager}`, async () => {
      const folder = await install(registry, manager, ['@tb/quantizer']);
      await runProgram(folder, manager, program);
      if (manager !== 'npm') return;
      const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
      const installed = Object.keys(lock.packages).filter((path) => path !== '');
      assert(installed.length === 1, `@tb/quantizer brings other packages: ${installed.join(', ')}`);
      const required = "console.log(require('@tb/quantizer').createQuantizer().levels)";
      await run('node', ['--no-warnings', '--eval', required], { cwd: folder });
    });
  }
}

/** Every library at once, by the managers that resolve strictly. */
export async function installLibraries(registry: Registry): Promise<void> {
  const names = libraries.map(({ name }) => name);
  const entries = libraries.flatMap(({ exports }) => exports);
  const program = `for (const name of ${JSON.stringify(entries)}) if (Object.keys(await import(name)).length === 0) throw new Error(name);`;
  for (const manager of ['pnpm', 'yarn'] as const) {
    await step(`${names.length} libraries by ${manager}`, async () => {
      const folder = await install(registry, manager, [...names, '@tensorflow/tfjs-core']);
      await runProgram(folder, manager, program);
    });
  }
}

/** Everything in one folder, by npm, with what runs and compiles TypeScript. */
export async function installEverything(registry: Registry): Promise<string> {
  const tools = ['@tensorflow/tfjs-core', 'typescript@6', 'tsx@4', '@types/node@20'];
  return step(`${published.length} packages by npm`, () =>
    install(registry, 'npm', [...published.map(({ name }) => name), ...tools]),
  );
}

async function install(registry: Registry, manager: Manager, names: string[]): Promise<string> {
  const folder = emptyFolder(`${manager}-${names.length}`);
  registry.configure(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'somebody', private: true, type: 'module' }));
  writeFileSync(join(folder, 'yarn.lock'), '');
  await run(manager, [...managers[manager].add, ...names], { cwd: folder });
  return folder;
}

async function runProgram(folder: string, manager: Manager, program: string): Promise<void> {
  writeFileSync(join(folder, 'program.js'), program);
  const [command, ...args] = managers[manager].run;
  await run(command, [...args, 'program.js'], { cwd: folder });
}
