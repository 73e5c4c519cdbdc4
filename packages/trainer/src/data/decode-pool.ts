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

/** Starts the threads; they do not keep the process alive. */
export function createDecodePool(threads: number): DecodePool {
  const waiting = new Map<number, Waiting>();
  const workers = Array.from({ length: threads }, () => startWorker(waiting));
  let next = 0;
  return {
    read(request) {
      const id = next++;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        workers[id % threads].postMessage({ id, request } satisfies WorkerRequest);
      });
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
      for (const { reject } of waiting.values()) reject(new Error('createDecodePool: the pool was closed'));
      waiting.clear();
    },
  };
}

function startWorker(waiting: Map<number, Waiting>): Worker {
  const worker = new Worker(...workerEntry());
  worker.unref();
  worker.on('message', (response: WorkerResponse) => {
    const { resolve, reject } = waiting.get(response.id)!;
    waiting.delete(response.id);
    if ('pixels' in response) resolve(response.pixels);
    else reject(new Error(response.reason));
  });
  worker.on('error', (error) => {
    for (const { reject } of waiting.values()) reject(error instanceof Error ? error : new Error(String(error)));
    waiting.clear();
  });
  return worker;
}

/** The built file stands beside this module; run from the sources, the TypeScript file needs a loader. */
function workerEntry(): [URL, { execArgv?: string[] }] {
  if (!import.meta.url.endsWith('.ts')) return [new URL('./decode-worker.js', import.meta.url), {}];
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const execArgv = ['--import', loader, '--conditions=@tb/source'];
  return [new URL('./decode-worker.ts', import.meta.url), { execArgv }];
}
