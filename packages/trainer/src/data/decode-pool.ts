import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SampleRequest } from './image-source.js';

export type WorkerRequest = { id: number; request: SampleRequest };
export type WorkerResponse = { id: number; pixels: Uint8Array } | { id: number; reason: string };

/** Worker threads that decode pictures. */
export type DecodePool = {
  /** RGB bytes [size, size, 3]; rejects with the reason when the file cannot be read. */
  read(request: SampleRequest): Promise<Uint8Array>;
  close(): Promise<void>;
};

type Waiting = { resolve: (pixels: Uint8Array) => void; reject: (error: Error) => void };

/** Starts the threads; they keep the process alive only while they work. */
export function createDecodePool(threads: number): DecodePool {
  const waiting = new Map<number, Waiting>();
  const workers: Worker[] = [];
  let closing = false;
  const rest = () => {
    if (closing) return; // the last answer may come while `close` still waits for its threads
    for (const worker of workers) worker.unref();
  };
  for (let i = 0; i < threads; i++) workers.push(startWorker(waiting, rest));
  let next = 0;
  return {
    read(request) {
      const id = next++;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        for (const worker of workers) worker.ref();
        workers[id % threads].postMessage({ id, request } satisfies WorkerRequest);
      });
    },
    async close() {
      closing = true;
      for (const worker of workers) worker.ref();
      await Promise.all(workers.map((worker) => worker.terminate()));
      for (const { reject } of waiting.values()) reject(new Error('createDecodePool: the pool was closed'));
      waiting.clear();
    },
  };
}

/** @param rest - called when nothing is left to do */
function startWorker(waiting: Map<number, Waiting>, rest: () => void): Worker {
  const worker = new Worker(...workerEntry());
  worker.unref();
  worker.on('message', (response: WorkerResponse) => {
    const { resolve, reject } = waiting.get(response.id)!;
    waiting.delete(response.id);
    if (waiting.size === 0) rest();
    if ('pixels' in response) resolve(response.pixels);
    else reject(new Error(response.reason));
  });
  const fail = (reason: unknown) => {
    for (const { reject } of waiting.values()) reject(reason instanceof Error ? reason : new Error(String(reason)));
    waiting.clear();
  };
  worker.on('error', fail);
  worker.on('exit', (code) => fail(`a decoding thread ended with code ${code}`));
  return worker;
}

/** The built file stands beside this module; run from the sources, the TypeScript file needs a loader of its own. */
function workerEntry(): ConstructorParameters<typeof Worker> {
  if (!import.meta.url.endsWith('.ts')) return [new URL('./decode-worker.js', import.meta.url)];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const loader = new URL('./dist/esm/api/index.mjs', tsx).href;
  const source = new URL('./decode-worker.ts', import.meta.url).href;
  // The timer holds the thread while its modules load: the loader's own thread does not.
  const code = `const hold = setInterval(() => {}, 1000);
    import('${loader}').then(({ register }) => register()).then(() => import('${source}')).then(() => clearInterval(hold));`;
  return [code, { eval: true, execArgv: ['--conditions=@tb/source'] }];
}
