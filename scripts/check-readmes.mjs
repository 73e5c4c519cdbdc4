// Every function and value that a published package exports is in its README.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const problems = [];
for (const name of readdirSync('packages')) {
  const folder = `packages/${name}`;
  if (JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')).private || !existsSync(`${folder}/src/index.ts`))
    continue;
  const readme = readFileSync(`${folder}/README.md`, 'utf8');
  const missing = exportedValues(readFileSync(`${folder}/src/index.ts`, 'utf8')).filter(
    (value) => !new RegExp(`\\b${value}\\b`).test(readme),
  );
  if (missing.length > 0) problems.push(`${folder}/README.md does not mention ${missing.join(', ')}`);
}

/** Names behind `export { … } from` that are no types. */
function exportedValues(source) {
  return Array.from(source.matchAll(/^export (?!type )\{([^}]*)\}/gm), ([, list]) => list.split(','))
    .flat()
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '' && !entry.startsWith('type '))
    .map((entry) => entry.split(' as ').at(-1));
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
