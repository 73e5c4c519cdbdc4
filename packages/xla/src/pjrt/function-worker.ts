/** Workers whose program is one function of this package, so that no bundler has to carry a second file along. */
import { type MessagePort, Worker } from 'node:worker_threads';

export type WorkerProgram = (require: NodeJS.Require) => void;

/**
 * Starts a Worker from a function's own text. The function uses nothing but its argument, `require` from this package;
 * data comes through `workerData`.
 */
export function startFunctionWorker(run: WorkerProgram, data: object, transfer: MessagePort[]): Worker {
  const source = `
    const __name = (value) => value; // some compilers wrap functions in this helper, which keeps their names
    const { createRequire } = require('node:module');
    const { workerData } = require('node:worker_threads');
    (${run.toString()})(createRequire(workerData.base));`;
  return new Worker(source, { eval: true, workerData: { ...data, base: import.meta.url }, transferList: transfer });
}

/** The message that the Worker sends when it can be used. @throws Error with the Worker's reason */
export function workerReady<T>(worker: Worker, caller: string): Promise<T> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (message: T & { failed?: string }) => {
      if (message.failed !== undefined) reject(new Error(`${caller}: ${message.failed}`));
      else resolve(message);
    });
  });
}
