// Every package declares what it imports and imports what it declares. What it publishes comes from `dependencies` and
// `peerDependencies`; tests, benchmarks, examples and scripts may take from `devDependencies` too.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';

/** Run as commands, or read by the compiler: used without an import. */
const tools = [
  '@arethetypeswrong/cli',
  '@biomejs/biome',
  '@changesets/cli',
  '@types/node',
  '@yarnpkg/cli-dist',
  'knip',
  'publint',
  'tsup',
  'tsx',
  'turbo',
  'typedoc',
  'typescript',
  'vite',
];
/** Only types are taken from these, and the published declarations do not mention them. */
const typesOnly = ['koffi'];
/** @tb/runtime loads these when their backend is asked for; a package that wants the backend declares them. */
const loadedByName = ['@tb/xla', '@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'];

const folders = [
  '.',
  'bench',
  'scripts/campaign',
  ...['packages', 'apps'].flatMap((group) => readdirSync(group).map((name) => `${group}/${name}`)),
];
const packages = new Map(folders.map(readPackage).map((each) => [each.manifest.name, each]));
const problems = [...packages.values()].flatMap(problemsOf);

function readPackage(folder) {
  const manifest = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const files = filesOf(folder);
  const isPublished = (file) => file.startsWith(`${folder}/src/`) && !/\.test(-d)?\.ts$|\/testing\//.test(file);
  return {
    folder,
    manifest,
    published: importsOf(files.filter(isPublished)),
    internal: importsOf(files.filter((file) => !isPublished(file))),
  };
}

function problemsOf({ folder, manifest, published, internal }) {
  const { name, dependencies = {}, peerDependencies = {}, devDependencies = {} } = manifest;
  // Private packages are never on the registry: a published one bundles them, and with them what they import.
  const bundled = manifest.private ? [] : published.filter((each) => packages.get(each)?.manifest.private);
  const imported = [...published, ...bundled.flatMap((each) => packages.get(each).published)];
  const peersOfDependencies = Object.keys(dependencies).flatMap(requiredPeers);
  const needed = [...imported, ...peersOfDependencies].filter((each) => !bundled.includes(each));
  const runtime = { ...dependencies, ...peerDependencies };
  const everything = { ...runtime, ...devDependencies, [name]: 'itself' };
  const isUnused = (uses) => (each) => !uses.includes(each) && !loadedByName.includes(each);
  const say = (what, list) =>
    list.length > 0 ? [`${folder}/package.json: ${what}: ${[...new Set(list)].join(', ')}`] : [];
  return [
    ...say(
      'imported by sources, in no dependencies',
      needed.filter((each) => !(each in runtime) && !typesOnly.includes(each)),
    ),
    ...say(
      'imported by tests or scripts, declared nowhere',
      internal.filter((each) => !(each in everything)),
    ),
    ...say('a dependency that no source imports', Object.keys(runtime).filter(isUnused(needed))),
    ...say(
      'a devDependency that nothing imports',
      Object.keys(devDependencies).filter(isUnused([...internal, ...bundled, ...tools, ...typesOnly])),
    ),
    ...say(
      'both a dependency and a devDependency',
      Object.keys(dependencies).filter((each) => each in devDependencies),
    ),
  ];
}

/** What a package of this repository expects its dependents to install. */
function requiredPeers(name) {
  const { peerDependencies = {}, peerDependenciesMeta = {} } = packages.get(name)?.manifest ?? {};
  return Object.keys(peerDependencies).filter((peer) => !peerDependenciesMeta[peer]?.optional);
}

/** Names of the packages that the files import, Node's own left out. */
function importsOf(files) {
  const specifiers = files.flatMap((file) => ts.preProcessFile(readFileSync(file, 'utf8'), true, true).importedFiles);
  const names = specifiers.map(({ fileName }) => /^(@[^/]+\/)?[^/]+/.exec(fileName)?.[0] ?? '.');
  return [...new Set(names)].filter((name) => !/^\.|^node:/.test(name));
}

/** Sources in a package: the files at its top, and those of every folder that people write in. */
function filesOf(folder) {
  const written = ['src', 'test', 'bench', 'examples', 'scripts', 'configs', 'page', 'programs'].map(
    (name) => `${folder}/${name}`,
  );
  const nested = folder === '.' ? foldersOfScripts() : written.filter((each) => existsSync(each));
  const list = (from, options) => readdirSync(from, { encoding: 'utf8', ...options }).map((file) => `${from}/${file}`);
  const files = [...list(folder), ...nested.flatMap((each) => list(each, { recursive: true }))];
  return [...files, ...(folder === '.' ? list('./scripts') : [])].filter((file) => /\.m?tsx?$|\.mjs$/.test(file));
}

/** Those of the root itself: scripts/campaign is a package of the workspace. */
function foldersOfScripts() {
  const entries = readdirSync('scripts', { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && entry.name !== 'campaign')
    .map(({ name }) => `./scripts/${name}`);
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
