// READMEs of the packages and what the packages export agree, in both directions: every exported function and value is
// mentioned, every name in the section "Exports" exists, and examples import only what exists.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

const packages = readdirSync('packages')
  .map((folder) => ({ folder: `packages/${folder}`, manifest: `packages/${folder}/package.json` }))
  .filter(({ manifest }) => existsSync(manifest))
  .map(({ folder, manifest }) => ({ folder, ...JSON.parse(readFileSync(manifest, 'utf8')) }))
  .filter((each) => !each.private);
/** What can be imported under each name, such as @tb/quantizer/tfjs. */
const modules = new Map(
  packages.flatMap(({ name, folder, exports }) =>
    Object.entries(exports)
      .filter(([, entry]) => entry['@tb/source'])
      .map(([path, entry]) => [name + path.slice(1), exportsOf(join(folder, entry['@tb/source']))]),
  ),
);
const readmes = [...packages.map(({ folder }) => folder), 'apps/train', 'apps/sample', '.'].map((folder) =>
  join(folder, 'README.md'),
);
const problems = [...packages.flatMap(namesProblems), ...readmes.flatMap(importProblems)];

/** Names that a module exports; true for functions and values, false for types. Modules of the same package are followed. */
function exportsOf(path) {
  const names = new Map();
  for (const statement of ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest).statements) {
    const isExported = statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (ts.isExportDeclaration(statement)) addReexports(path, statement, names);
    else if (isExported && ts.isVariableStatement(statement))
      for (const { name } of statement.declarationList.declarations) names.set(name.text, true);
    else if (isExported)
      names.set(statement.name.text, !ts.isTypeAliasDeclaration(statement) && !ts.isInterfaceDeclaration(statement));
  }
  return names;
}

function addReexports(path, { exportClause, isTypeOnly, moduleSpecifier }, names) {
  if (exportClause && ts.isNamedExports(exportClause))
    for (const element of exportClause.elements) names.set(element.name.text, !isTypeOnly && !element.isTypeOnly);
  else if (exportClause) names.set(exportClause.name.text, true);
  else
    for (const [name, isValue] of exportsOf(join(dirname(path), moduleSpecifier.text.replace(/\.js$/, '.ts'))))
      names.set(name, isValue);
}

function namesProblems({ name, folder }) {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  const own = new Map(
    [...modules]
      .filter(([module]) => module === name || module.startsWith(`${name}/`))
      .flatMap(([, names]) => [...names]),
  );
  const missing = [...own]
    .filter(([value, isValue]) => isValue && !new RegExp(`\\b${value}\\b`).test(readme))
    .map(([value]) => value);
  const section = /^## Exports$([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(readme)?.[1] ?? '';
  // The first cell of a row holds the names; the others may speak of anything.
  const cells = Array.from(section.matchAll(/^\| ([^|]*) \|/gm), ([, cell]) => cell);
  const told = cells.flatMap((cell) => Array.from(cell.matchAll(/`([A-Za-z_]\w*)(?:\([^`]*)?`/g), ([, word]) => word));
  const unknown = told.filter((word) => !own.has(word));
  const say = (what, list) =>
    list.length > 0 ? [`${folder}/README.md ${what}: ${[...new Set(list)].join(', ')}`] : [];
  return [
    ...say('does not mention', missing),
    ...say('lists under "Exports" what the package does not export', unknown),
  ];
}

function importProblems(readme) {
  const text = readFileSync(readme, 'utf8');
  const imports = Array.from(text.matchAll(/^import (?:type )?\{([^}]*)\} from '(@tb\/[^']+)';$/gm));
  return imports.flatMap(([, list, module]) => {
    if (!modules.has(module)) return [`${readme}: no package exports ${module}`];
    const names = list.split(',').map(
      (entry) =>
        entry
          .trim()
          .replace(/^type /, '')
          .split(' as ')[0],
    );
    const unknown = names.filter((name) => name !== '' && !modules.get(module).has(name));
    return unknown.length > 0
      ? [`${readme} imports from ${module} what it does not export: ${unknown.join(', ')}`]
      : [];
  });
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
