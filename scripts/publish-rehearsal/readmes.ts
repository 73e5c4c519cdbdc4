// Runs the examples of every README as a reader would: in an empty folder with the packages of the README's install line.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Package, published } from './packages.js';
import { type Block, blocksOf, installedPackages, withoutInstalls } from './readme-blocks.js';
import type { Registry } from './registry.js';
import { assert, emptyFolder, inPairs, root, run, step } from './scratch.js';

/** Files that examples read, and what they are here. */
const files: Record<string, string> = {
  'model.safetensors': 'apps/train/demo/model.safetensors',
  'vae.safetensors': 'apps/train/demo/vae.safetensors',
  'checkpoint.pth': 'packages/io/fixtures/training-protocol-4.pth',
  'a.jpg': 'apps/train/demo/photos/rocket.jpg',
  'b.png': 'apps/train/demo/photos/coffee.png',
};

export async function runReadmes(registry: Registry): Promise<void> {
  const failures: string[] = [];
  await inPairs(published, async (each) => {
    const { blocks, skipped } = blocksOf(readFileSync(join(root, each.folder, 'README.md'), 'utf8'));
    const notRun = skipped.map(({ line, reason }) => `\n    line ${line} is not run: ${reason}`).join('');
    await step(`${each.folder}/README.md, ${blocks.length} blocks${notRun}`, async () => {
      const folder = await prepare(registry, each, blocks);
      for (const [i, block] of blocks.entries()) await runBlock(folder, i, block);
    }).catch(({ message }) => failures.push(`${each.folder}/README.md: ${message}`));
  });
  assert(failures.length === 0, failures.join('\n\n'));
}

/** A folder with the packages of the install line, the programs of all blocks, and the files that they read. */
async function prepare(registry: Registry, { name, folder }: Package, blocks: Block[]): Promise<string> {
  const packages = installedPackages(blocks);
  assert(packages.includes(name), `no line \`npm install … ${name} …\``);
  const cwd = emptyFolder(`readme-${folder.replace('/', '-')}`);
  registry.configure(cwd);
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ private: true }));
  for (const [i, { code, extension }] of blocks.entries())
    writeFileSync(join(cwd, `block-${i}.${extension}`), withoutInstalls(code));
  for (const [file, source] of Object.entries(files)) cpSync(join(root, source), join(cwd, file));
  // pnpm shows a program the packages that were asked for by name, and no others: an install line that lacks one is found.
  await run('pnpm', ['add', ...packages], { cwd });
  await run('pnpm', ['add', '--allow-build=esbuild', 'tsx@4'], { cwd });
  return cwd;
}

async function runBlock(cwd: string, index: number, { extension, line }: Block): Promise<void> {
  const programs = join(cwd, 'node_modules/.bin');
  const command = extension === 'sh' ? ['bash', '-e'] : [join(programs, 'tsx')];
  const env = { PATH: `${programs}${delimiter}${process.env.PATH}` };
  await run(command[0], [...command.slice(1), `block-${index}.${extension}`], { cwd, env }).catch(({ message }) => {
    throw new Error(`line ${line}: ${message}`);
  });
}
