// Import direction between the packages, as docs/architecture.md states it. Arrows point only downwards:
// a package may depend on packages of lower layers, so no cycle can arise and each can be used alone. Sources import no
// package that is not declared: check-dependencies.mjs sees to it.
import { readdirSync, readFileSync } from 'node:fs';

const allowed = {
  quantizer: [],
  io: [],
  images: ['io'],
  runtime: [],
  xla: ['runtime'],
  nn: ['runtime', 'io'],
  vae: ['nn', 'io', 'runtime'],
  backbone: ['nn', 'io', 'runtime'],
  'ar-head': ['nn', 'io', 'runtime'],
  'diffusion-head': ['nn', 'io', 'runtime'],
  tokenbridge: ['vae', 'backbone', 'ar-head', 'diffusion-head', 'quantizer', 'nn', 'io', 'runtime'],
  metrics: ['images', 'nn', 'io', 'runtime'],
  trainer: [
    'tokenbridge',
    'vae',
    'backbone',
    'ar-head',
    'diffusion-head',
    'quantizer',
    'metrics',
    'images',
    'nn',
    'io',
    'runtime',
  ],
};
const problems = [];

for (const name of readdirSync('packages')) {
  const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8'));
  if (manifest.private) continue;
  if (!allowed[name])
    problems.push(`packages/${name} has no layer: add it to scripts/check-layers.mjs and docs/architecture.md`);
  const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  for (const dependency of declared.filter((each) => each.startsWith('@tb/'))) {
    if (!allowed[name]?.includes(dependency.slice(4))) problems.push(`@tb/${name} may not depend on ${dependency}`);
  }
  if (name === 'quantizer' && Object.keys(manifest.dependencies ?? {}).length > 0)
    problems.push('@tb/quantizer must have no dependencies');
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
