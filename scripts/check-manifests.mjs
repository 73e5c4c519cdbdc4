// All manifests have one shape: the same fields in the same order, and the same value wherever it follows from the name and
// the folder of a package. `node scripts/check-manifests.mjs --fix` writes what follows; the rest is for people to fill in.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const repository = 'https://github.com/tokenbridge/tokenbridge';
const order = [
  'name',
  'version',
  'private',
  'description',
  'keywords',
  'homepage',
  'bugs',
  'license',
  'author',
  'type',
  'repository',
  'engines',
  'sideEffects',
  'bin',
  'exports',
  'files',
  'publishConfig',
  'scripts',
  'dependencies',
  'optionalDependencies',
  'peerDependencies',
  'peerDependenciesMeta',
  'devDependencies',
];
const fix = process.argv.includes('--fix');
const { version: rootVersion, license, engines } = JSON.parse(readFileSync('package.json', 'utf8'));
if (rootVersion) throw new Error('package.json: the workspace itself has no version');
const folders = ['packages', 'apps'].flatMap((group) => readdirSync(group).map((name) => `${group}/${name}`));
const problems = folders.filter((folder) => existsSync(`${folder}/package.json`)).flatMap(problemsOf);

function problemsOf(folder) {
  const path = `${folder}/package.json`;
  const text = readFileSync(path, 'utf8');
  const manifest = JSON.parse(text);
  const wanted = `${JSON.stringify(sorted(manifest.private ? manifest : completed(manifest, folder)), null, 2)}\n`;
  if (fix && wanted !== text) writeFileSync(path, wanted);
  const differs = !fix && wanted !== text ? [`run node scripts/check-manifests.mjs --fix`] : [];
  return [...differs, ...valueProblems(manifest, folder)].map((problem) => `${path}: ${problem}`);
}

/** The manifest with every field that follows from its name and its folder. */
function completed(manifest, folder) {
  return {
    ...manifest,
    homepage: `${repository}/tree/main/${folder}#readme`,
    bugs: `${repository}/issues`,
    license,
    author: 'The TokenBridge in TypeScript authors',
    type: 'module',
    repository: { type: 'git', url: `git+${repository}.git`, directory: folder },
    engines,
    publishConfig: { access: 'public' },
    scripts: { ...manifest.scripts, prepublishOnly: 'node ../../scripts/before-publishing.mjs' },
  };
}

/** The fields in their usual order, unknown ones last; the lists of dependencies by name. */
function sorted(manifest) {
  const rank = (field) => (order.includes(field) ? order.indexOf(field) : order.length);
  const fields = Object.entries(manifest).sort(([a], [b]) => rank(a) - rank(b));
  const byName = (list) => Object.fromEntries(Object.entries(list).sort(([a], [b]) => (a < b ? -1 : 1)));
  return Object.fromEntries(
    fields.map(([field, value]) => [field, /ependencies$/.test(field) ? byName(value) : value]),
  );
}

/** What only a person can put right. */
function valueProblems(manifest, folder) {
  const { name, description, keywords = [], exports = {}, files = [], dependencies = {} } = manifest;
  const { peerDependencies = {}, devDependencies = {} } = manifest;
  const problems = [];
  const check = (isRight, problem) => isRight || problems.push(problem);
  check(name === `@tb/${folder.split('/')[1]}`, `the name must be @tb/${folder.split('/')[1]}`);
  for (const [dependency, range] of Object.entries({ ...dependencies, ...devDependencies })) {
    const isOwn = dependency.startsWith('@tb/');
    check(
      isOwn ? range.startsWith('workspace:') : range === 'catalog:',
      `${dependency} must come from the ${isOwn ? 'workspace' : 'catalog of pnpm-workspace.yaml'}`,
    );
  }
  if (manifest.private) return problems;
  check(
    description?.length <= 120 && /^[A-Z].*\.$/.test(description),
    'description must be one sentence of at most 120 characters',
  );
  check(
    keywords.includes('tokenbridge') && keywords.length >= 4,
    'keywords must hold "tokenbridge" and at least three others',
  );
  check(exports['./package.json'] === './package.json', 'exports must hold ./package.json');
  check(files.includes('dist') && files.includes('CHANGELOG.md'), 'files must hold dist and CHANGELOG.md');
  check(existsSync(`${folder}/README.md`), 'the package has no README.md');
  for (const [dependency, range] of Object.entries(dependencies))
    check(!dependency.startsWith('@tb/') || range === 'workspace:^', `${dependency} must be "workspace:^"`);
  for (const dependency of Object.keys(peerDependencies))
    check(!dependency.startsWith('@tb/'), `${dependency} must be a dependency, not a peer`);
  return problems;
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
