// Publishes every package as a release does, from a copy of the working tree.
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { libraries, privateNames, published } from './packages.js';
import type { Registry } from './registry.js';
import { assert, emptyFolder, root, run, step } from './scratch.js';

export async function publishAll(registry: Registry): Promise<string> {
  const copy = await step('the tree copied', copyTree);
  registry.configure(copy);
  await step('versions and changelogs written', () => applyChangesets(registry, copy));
  await step('publishing by hand: npm refuses in a sentence, pnpm packs', () => publishByHand(copy));
  await step(`${published.length} packages published`, () => changeset(registry, copy, 'publish'));
  await step('published once more: nothing left to do', async () => {
    const output = await changeset(registry, copy, 'publish');
    assert(/No unpublished projects to publish/.test(output), `a second publish should have nothing to do:\n${output}`);
  });
  await step(`only these, and no workspace ranges in them`, () => checkManifests(registry));
  return copy;
}

/** Tracked files and new ones, and what was built from them. */
async function copyTree(): Promise<string> {
  const copy = emptyFolder('tree');
  const listed = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root });
  const files = listed
    .split('\0')
    .filter((file) => file !== '' && !/\/golden\//.test(file) && existsSync(join(root, file)));
  const built = published.map(({ folder }) => `${folder}/dist`);
  for (const folder of built) assert(existsSync(join(root, folder)), `${folder} is missing: run pnpm build first`);
  for (const path of [...files, ...built]) cpSync(join(root, path), join(copy, path), { recursive: true });
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=rehearsal', '-c', 'user.email=rehearsal@localhost', ...args], { cwd: copy });
  await git('init', '--quiet', '--initial-branch', 'main');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'Rehearsal');
  return copy;
}

/** What `pnpm run version` does. A build after it would put the new version into the built files; here it is put there by hand. */
async function applyChangesets(registry: Registry, copy: string): Promise<void> {
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  const before = versions(root);
  const pending = readdirSync(join(copy, '.changeset')).filter((file) => file.endsWith('.md') && file !== 'README.md');
  if (pending.length > 0) await changeset(registry, copy, 'version');
  for (const { name, folder } of published) {
    const built = join(copy, folder, 'dist');
    for (const file of readdirSync(built).filter((each) => each.endsWith('.js'))) {
      const text = readFileSync(join(built, file), 'utf8');
      const updated = text.replace(
        `var version = "${before.get(name)}"`,
        `var version = "${versions(copy).get(name)}"`,
      );
      if (updated !== text) writeFileSync(join(built, file), updated);
    }
  }
}

/** Only pnpm replaces the workspace's ranges, so that npm has to refuse. */
async function publishByHand(copy: string): Promise<void> {
  const cwd = join(copy, libraries[0].folder);
  const refusal = await run('npm', ['publish'], { cwd, codes: [1] });
  assert(
    /cannot be published with npm: only pnpm turns/.test(refusal),
    `npm publish should refuse in a sentence:\n${refusal}`,
  );
  await run('pnpm', ['publish', '--dry-run', '--no-git-checks'], { cwd });
}

/** The registry holds every published package, no private one, and manifests that can be installed outside the workspace. */
async function checkManifests(registry: Registry): Promise<void> {
  for (const { name } of published) {
    const manifest = await registry.manifest(name);
    assert(manifest, `${name} was not published`);
    const text = JSON.stringify(manifest);
    assert(!/"(workspace|catalog):/.test(text), `${name}: its manifest has ranges of the workspace:\n${text}`);
    for (const field of ['description', 'keywords', 'homepage', 'bugs', 'license', 'author', 'repository'])
      assert(manifest[field], `${name}: its manifest has no ${field}`);
  }
  for (const name of privateNames) assert(!(await registry.manifest(name)), `${name} is private and was published`);
}

function changeset(registry: Registry, copy: string, command: 'version' | 'publish'): Promise<string> {
  const program = join(root, 'node_modules/@changesets/cli/bin.js');
  const env = { 'npm_config_@tb:registry': registry.url };
  return run(process.execPath, [program, command], { cwd: copy, env });
}

function versions(tree: string): Map<string, string> {
  return new Map(
    published.map(({ name, folder }) => [
      name,
      JSON.parse(readFileSync(join(tree, folder, 'package.json'), 'utf8')).version,
    ]),
  );
}
