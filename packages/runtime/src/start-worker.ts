import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a worker thread from a module that is next to the calling one.
 *
 * @param entry - `new URL('./some-worker.js', import.meta.url)`; for packages of this workspace that run from their sources,
 *   the TypeScript file of that name, which tsx loads in the thread
 */
export function startWorker(entry: URL, options: WorkerOptions = {}): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(entry, options);
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const loader = new URL('./dist/esm/api/index.mjs', tsx).href;
  const source = entry.href.replace(/\.js$/, '.ts');
  // The timer keeps the thread alive while its modules load: the loader's thread does not.
  const code = `const hold = setInterval(() => {}, 1000);
    import('${loader}').then(({ register }) => register()).then(() => import('${source}')).finally(() => clearInterval(hold));`;
  return new Worker(code, { ...options, eval: true, execArgv: ['--conditions=@tb/source'] });
}
