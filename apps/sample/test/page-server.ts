// A server of the page with tiny untrained weights, and how tests ask it.
import { request } from 'node:http';
import { encodePng, withPngSettings } from '@tb/images';
import { serverSentEvents } from '../page/src/server-sent-events.js';
import { seedOf } from '../src/commands/generate/jobs.js';
import type { AccessOptions } from '../src/commands/serve/access.js';
import { openServer } from '../src/commands/serve/http-server.js';
import { openRuns } from '../src/commands/serve/runs.js';
import { createService, type ServiceOptions } from '../src/commands/serve/service.js';
import { createUploads, type UploadOptions } from '../src/commands/serve/uploads.js';
import { imageSimilarity } from '../src/images.js';
import { createPageCompute } from '../src/page/compute.js';
import type { ModelInfo } from '../src/page/messages.js';
import { classNames, makeTinyWeights } from './tiny-weights.js';

export type TestServerOptions = {
  access?: Partial<AccessOptions>;
  runs?: string;
  service?: Partial<ServiceOptions>;
  uploads?: Partial<UploadOptions>;
  uploadBytes?: number;
};

const page = new Map(
  Object.entries({ '/': '<!doctype html>', '/assets/page-abcdefgh.js': 'export {};' }).map(([path, text]) => {
    const type = path === '/' ? 'text/html; charset=utf-8' : 'text/javascript; charset=utf-8';
    return [path, { content: new TextEncoder().encode(text), type, etag: `"${path.length}"` }];
  }),
);

/** Starts a server on a free port of loopback. */
export async function startTestServer(options: TestServerOptions = {}) {
  const { model, vae, free } = makeTinyWeights();
  const compute = createPageCompute({
    model,
    vae,
    classNames,
    batchSize: 2,
    encodePng,
    encodeFinished: async (image, settings) => withPngSettings(await encodePng(image), settings),
    seedOf,
    similarity: imageSimilarity,
  });
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const { uploadBytes = 2 ** 20, runs } = options;
  const limits: ModelInfo['limits'] = {
    images: 40,
    steps: 16,
    guidance: 100,
    temperature: 10,
    uploadBytes,
    uploadPixels: options.uploads?.maxPixels ?? 2 ** 20,
    levels: 64,
    range: { min: 0.01, max: 100 },
  };
  const info: ModelInfo = {
    ...compute.facts,
    version: '1',
    model: 'tiny',
    backend: 'wasm',
    classes: classNames.map((name, label) => ({ label, name, thumbnail: null })),
    limits,
    hasRuns: runs !== undefined,
  };
  const service = createService({
    compute,
    info,
    uploads: createUploads({ size: 16, maxPixels: limits.uploadPixels, ...options.uploads }),
    runs: runs === undefined ? undefined : await openRuns(runs),
    thumbnails: new Map([[1, new Uint8Array(await encodePng({ width: 1, height: 1, data: new Uint8Array(3) }))]]),
    queueLength: 4,
    timeLimit: 60,
    flags: { generate: ['--model', "it's mine"], reconstruct: [] },
    onError,
    ...options.service,
  });
  const access = { host: '127.0.0.1', names: [], ...options.access };
  const server = await openServer({ host: '127.0.0.1', port: 0, access, page, onError });
  const { address } = server;
  const beforeStart = await ask(address, '/');
  server.start(service);
  return {
    address,
    errors,
    beforeStart,
    async close() {
      await service.close();
      await server.close();
      compute.dispose();
      free();
    },
  };
}

export type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: Buffer };

export type Question = { method?: string; headers?: Record<string, string>; body?: string | Uint8Array };

/** Asks as a program does, with any headers and a path that nothing has cleaned. */
export function ask(address: string, path: string, { method = 'GET', headers = {}, body }: Question = {}) {
  const { hostname, port } = new URL(address);
  return new Promise<Answer>((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Asks as the page does. */
export const post = (address: string, path: string, value: unknown, signal?: AbortSignal) =>
  fetch(new URL(path, address), {
    method: 'POST',
    signal,
    headers: { origin: new URL(address).origin, 'content-type': 'application/json' },
    body: JSON.stringify(value),
  });

/** Sends an image file as the page does. */
export const upload = (address: string, file: Uint8Array) =>
  fetch(new URL('api/images', address), {
    method: 'POST',
    headers: { origin: new URL(address).origin, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(file),
  });

/** Yields the events of an answer. */
export const eventsOf = <Event>(response: Response) => serverSentEvents<Event>(response.body!);

export async function allEvents<Event>(response: Response): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of eventsOf<Event>(response)) events.push(event);
  return events;
}
