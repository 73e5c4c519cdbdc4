// Entry point of a worker thread: makes training pictures while the main thread computes.
import { parentPort } from 'node:worker_threads';
import type { WorkerRequest, WorkerResponse } from './decode-pool.js';
import { readSample } from './read-sample.js';

parentPort!.on('message', async ({ id, request }: WorkerRequest) => {
  let response: WorkerResponse;
  try {
    response = { id, pixels: await readSample(request) };
  } catch (error) {
    response = { id, reason: error instanceof Error ? error.message : String(error) };
  }
  parentPort!.postMessage(response);
});
