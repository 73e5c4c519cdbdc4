// Everything that is installed with a published package has a licence of this list. Tools for development are not distributed,
// and not checked.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

const allowed = [
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
];

/** Packages of other licences, with the reason why they may be used. */
const exceptions = [
  // libvips: a shared library that sharp loads, and that users may replace by another build.
  { name: /^@img\/sharp-libvips-/, licence: 'LGPL-3.0-or-later' },
];

const seen = new Map();
const problems = [];

for (const group of ['packages', 'apps'])
  for (const name of readdirSync(group)) {
    const manifest = readManifest(`${group}/${name}`);
    if (manifest && !manifest.private) visitDependencies(`${group}/${name}`, manifest);
  }

function visitDependencies(
  folder,
  { name, dependencies = {}, optionalDependencies = {}, peerDependencies = {}, ...rest },
) {
  const isOptional = (each) => each in optionalDependencies || rest.peerDependenciesMeta?.[each]?.optional;
  for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
    const found = locate(folder, dependency);
    if (found === undefined && !isOptional(dependency)) problems.push(`${name}: ${dependency} is not installed`);
    if (found === undefined || seen.has(found)) continue;
    const manifest = readManifest(found);
    seen.set(found, manifest.name);
    checkLicence(manifest);
    visitDependencies(found, manifest);
  }
}

/** The folder of a package as Node finds it from another one. */
function locate(from, name) {
  for (let folder = realpathSync(from); ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate);
    if (folder === dirname(folder)) return undefined;
  }
}

function readManifest(folder) {
  const path = join(folder, 'package.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

function checkLicence({ name, version, license, licenses }) {
  const licence = license?.type ?? license ?? licenses?.map(({ type }) => type).join(' OR ') ?? 'none stated';
  const choices = licence.replaceAll(/[()]/g, '').split(' OR ');
  const isAllowed = choices.some((choice) => choice.split(' AND ').every((each) => allowed.includes(each)));
  const isException = exceptions.some((exception) => exception.name.test(name) && exception.licence === licence);
  if (!isAllowed && !isException)
    problems.push(
      `${name} ${version}: licence ${licence}; replace it, or add the licence or a reason to scripts/check-licences.mjs`,
    );
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
