// Runs before any package is published (`prepublishOnly`). Only pnpm replaces the ranges `workspace:` and `catalog:` of a
// manifest by versions: what another package manager publishes cannot be installed by anybody.
import { existsSync, readFileSync } from 'node:fs';

const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
const manager = process.env.npm_config_user_agent?.split('/')[0] ?? 'an unknown program';

if (manager !== 'pnpm') {
  console.error(
    `${name} cannot be published with ${manager}: only pnpm turns the workspace's version ranges into versions. ` +
      'Run `pnpm run release` in the root of the repository.',
  );
  process.exit(1);
}
if (!existsSync('dist')) {
  console.error(
    `${name} has not been built: run \`pnpm build\` first, or \`pnpm run release\`, which builds and publishes.`,
  );
  process.exit(1);
}
