// Rehearses a release: publishes every package to a registry on this machine, and uses them from there as somebody else would.
// Needs a build. `pnpm test:publish` runs everything, `pnpm test:publish quantizer browsers` the parts that are named.
import { rmSync } from 'node:fs';
import { useInBrowsers } from './browsers.js';
import { useCommands } from './commands.js';
import { installEverything, installLibraries, installQuantizer } from './install.js';
import { publishAll } from './publish.js';
import { runReadmes } from './readmes.js';
import { type Registry, startRegistry } from './registry.js';
import { scratch } from './scratch.js';
import { compile } from './typescript.js';

const parts: Record<string, (registry: Registry) => Promise<void>> = {
  quantizer: installQuantizer,
  libraries: installLibraries,
  readmes: runReadmes,
  typescript: async (registry) => compile(await everything(registry)),
  browsers: async (registry) => useInBrowsers(await everything(registry)),
  commands: async (registry) => useCommands(registry, await everything(registry)),
};

/** A folder in which all packages are installed, made for the first part that needs it. */
const everything = (registry: Registry): Promise<string> => {
  folder ??= installEverything(registry);
  return folder;
};
let folder: Promise<string> | undefined;

const chosen = process.argv.slice(2).filter((argument) => argument !== '--');
const unknown = chosen.filter((part) => !Object.hasOwn(parts, part));
if (unknown.length > 0) {
  console.error(`unknown part: ${unknown.join(', ')}; the parts are ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}

const start = performance.now();
const registry = await startRegistry();
const failed: string[] = [];
try {
  console.log('publishing');
  await publishAll(registry);
  for (const part of chosen.length > 0 ? chosen : Object.keys(parts)) {
    console.log(part);
    await parts[part](registry).catch((error) => {
      console.error(shortened(error.message));
      failed.push(part);
    });
  }
} finally {
  await registry.close();
}
const time = `${((performance.now() - start) / 1000).toFixed(0)} s`;
if (failed.length > 0) {
  console.error(`failed after ${time}: ${failed.join(', ')}; the folders are in ${scratch}`);
  process.exit(1);
}
rmSync(scratch, { recursive: true });
console.log(`all packages can be published and used (${time})`);

/** Compilers and bundlers can say the same thing a hundred times. */
function shortened(message: string): string {
  const lines = message.split('\n');
  return lines.length <= 80 ? message : [...lines.slice(0, 80), `… ${lines.length - 80} more lines`].join('\n');
}
