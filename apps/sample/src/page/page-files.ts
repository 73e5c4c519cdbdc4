// Where the built page is.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UsageError } from '@tb/command-line';

/** The page of `tb-sample serve`, or the static site. */
type Kind = 'page' | 'site';

const documents: Record<Kind, string> = { page: 'index.html', site: 'site.html' };

/**
 * Finds the built page: a folder with an HTML file and `assets`, next to the installed program. In a checkout, where the
 * program runs from its sources, Vite builds the page first if it is older than they are.
 *
 * @throws UsageError if it is not there and cannot be built
 */
export async function pageFolder(kind: Kind = 'page'): Promise<string> {
  const installed = fileURLToPath(new URL(`./${kind}`, import.meta.url));
  if (existsSync(join(installed, documents[kind]))) return installed;
  const app = fileURLToPath(new URL('../..', import.meta.url));
  const built = join(app, 'dist', kind);
  const config = join(app, 'page/vite.config.ts');
  if (!existsSync(config)) throw new UsageError('the files of the page are missing; install @tb/sample again');
  building[kind] ??= isOlder(join(built, documents[kind]), app) ? buildPage(app, config, kind) : Promise.resolve();
  await building[kind];
  return built;
}

const building: Partial<Record<Kind, Promise<void>>> = {};

/** Whether a file is missing, or older than a source of the page. */
function isOlder(file: string, app: string): boolean {
  if (!existsSync(file)) return true;
  const { mtimeMs } = statSync(file);
  return ['page', 'src/page'].some((folder) =>
    readdirSync(join(app, folder), { recursive: true, encoding: 'utf8' }).some(
      (name) => statSync(join(app, folder, name)).mtimeMs > mtimeMs,
    ),
  );
}

async function buildPage(app: string, config: string, kind: Kind): Promise<void> {
  const mode = kind === 'site' ? 'site' : 'production';
  const vite = join(dirname(createRequire(config).resolve('vite/package.json')), 'bin/vite.js');
  await promisify(execFile)(
    process.execPath,
    [vite, 'build', '--config', config, '--mode', mode, '--logLevel', 'error'],
    {
      cwd: app,
    },
  ).catch((error: { stderr?: string; message: string }) => {
    throw new UsageError(`the page cannot be built: ${error.stderr || error.message}`);
  });
}
