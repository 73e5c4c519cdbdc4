import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SampleRequest } from './image-source.js';

export type WorkerRequest = { id: number; request: SampleRequest };
export type WorkerResponse = { id: number; pixels: Uint8Array } | { id: number; reason: string };

/** Worker threads that decode images. */
export type DecodePool = {
  /**
   * RGB bytes [size, size, 3]; rejects with the reason when the file cannot be read, and with a `DecodePoolError` when the
   * pool is closed or one of its threads has ended, whatever the file.
   */
  read(request: SampleRequest): Promise<Uint8Array>;
  close(): Promise<void>;
};

/** The pool was closed or lost a thread. The image that was asked for is not to blame. */
export class DecodePoolError extends Error {
  override readonly name = 'DecodePoolError';
}

type Waiting = { resolve: (pixels: Uint8Array) => void; reject: (error: Error) => void };

/** Starts the threads; they keep the process alive only while they work. */
export function createDecodePool(threads: number): DecodePool {
  const waiting = new Map<number, Waiting>();
  const workers: Worker[] = [];
  let end: DecodePoolError | undefined;
  const finish = (reason: string) => {
    end ??= new DecodePoolError(reason);
    for (const { reject } of waiting.values()) reject(end);
    waiting.clear();
  };
  const answer = (response: WorkerResponse) => {
    const asked = waiting.get(response.id);
    if (!asked) return; // it arrived while the pool was closing
    waiting.delete(response.id);
    if (waiting.size === 0) for (const worker of workers) worker.unref();
    if ('pixels' in response) asked.resolve(response.pixels);
    else asked.reject(new Error(response.reason));
  };
  for (let i = 0; i < threads; i++) workers.push(startWorker(answer, finish));
  let next = 0;
  return {
    read(request) {
      if (end) return Promise.reject(end);
      const id = next++;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        for (const worker of workers) worker.ref();
        workers[id % threads].postMessage({ id, request } satisfies WorkerRequest);
      });
    },
    async close() {
      finish('the pool of decoding threads was closed');
      for (const worker of workers) worker.ref();
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

/** @param finish - called when the thread ends, with the reason */
function startWorker(answer: (response: WorkerResponse) => void, finish: (reason: string) => void): Worker {
  const worker = new Worker(...workerEntry());
  worker.unref();
  worker.on('message', answer);
  worker.on('error', (error) => finish(`a decoding thread failed: ${error instanceof Error ? error.message : error}`));
  worker.on('exit', (code) => finish(`a decoding thread ended with code ${code}`));
  return worker;
}

/** The built worker is next to this module. When run from the sources, the TypeScript file needs a loader. */
function workerEntry(): ConstructorParameters<typeof Worker> {
  if (!import.meta.url.endsWith('.ts')) return [new URL('./decode-worker.js', import.meta.url)];
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const loader = new URL('./dist/esm/api/index.mjs', tsx).href;
  const source = new URL('./decode-worker.ts', import.meta.url).href;
  // The timer keeps the thread alive while its modules load: the loader's thread does not.
  const code = `const hold = setInterval(() => {}, 1000);
    import('${loader}').then(({ register }) => register()).then(() => import('${source}')).then(() => clearInterval(hold));`;
  return [code, { eval: true, execArgv: ['--conditions=@tb/source'] }];
}
