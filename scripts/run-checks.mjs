// Runs every scripts/check-*.mjs, part of `pnpm lint`. A check prints what is wrong and exits with 1; a new one needs no entry.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

const checks = readdirSync('scripts').filter((name) => /^check-.*\.mjs$/.test(name));
const failed = checks.filter(
  (name) => spawnSync(process.execPath, [`scripts/${name}`], { stdio: 'inherit' }).status !== 0,
);

if (failed.length > 0) {
  console.error(`failed: ${failed.map((name) => `node scripts/${name}`).join(', ')}`);
  process.exit(1);
}
