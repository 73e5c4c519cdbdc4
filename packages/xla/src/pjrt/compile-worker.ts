/** A thread that compiles programs and loads them from the cache folder, one after another (a worker entry). */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openProgramCache, type ProgramCache } from './cache.js';
import { openApi } from './call.js';
import { PjrtError, type StatusCode } from './errors.js';
import { koffi } from './koffi.js';
import { loadOrCompile, type ProgramSource, type TimedProgram } from './load-or-compile.js';
import type { Loader } from './loaded-program.js';
import { configureStacks } from './memory.js';

export type CompileWorkerData = {
  /** Addresses of the plugin's `PJRT_Api` and of its client. */
  table: bigint;
  client: bigint;
  cacheFolder: string | undefined;
};

/** What a thread gets: a program, and where to answer. `isDone[0]` becomes 1 after the last answer. */
export type CompileJob = { source: ProgramSource; port: MessagePort; isDone: Int32Array };

/** What a thread answers: at most two beginnings (a program from the cache may be rejected), then a result or an error. */
export type CompileAnswer =
  | { state: 'begun'; isCached: boolean; expectedSeconds?: number }
  | { state: 'ready'; program: TimedProgram }
  | { state: 'failed'; message: string; status?: { code: StatusCode; apiFunction: string } };

const { table, client, cacheFolder } = workerData as CompileWorkerData;
let loader: Loader | undefined;
let cache: ProgramCache | undefined;

/** Once in this thread, at the first job: so that a problem here is that job's answer. */
function prepareThread(): Loader {
  configureStacks();
  koffi.load(null); // koffi makes its stacks when it loads a library; without one, a call by address ends the process
  if (cacheFolder !== undefined) cache = openProgramCache(cacheFolder);
  return { plugin: { api: openApi(table) }, address: client };
}

parentPort!.on('message', ({ source, port, isDone }: CompileJob) => {
  const answer = (message: CompileAnswer) => port.postMessage(message);
  try {
    loader ??= prepareThread();
    const program = loadOrCompile(loader, cache, source, (isCached, expectedSeconds) =>
      answer({ state: 'begun', isCached, expectedSeconds }),
    );
    answer({ state: 'ready', program });
  } catch (error) {
    const status = error instanceof PjrtError ? { code: error.code, apiFunction: error.apiFunction } : undefined;
    answer({ state: 'failed', message: (error as Error).message, status });
  }
  // The thread that waits may sleep until it is woken; the answers are in its port by then.
  Atomics.store(isDone, 0, 1);
  Atomics.notify(isDone, 0);
});
