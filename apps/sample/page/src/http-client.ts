import type {
  JobEvent,
  ModelInfo,
  PageClient,
  Refusal,
  RunEvent,
  RunList,
  UploadedImage,
} from '../../src/page/messages.js';
import { serverSentEvents } from './server-sent-events.js';

/**
 * The server of `tb-sample serve`.
 *
 * @param page - address of the page, to which all addresses are relative
 */
export function httpClient(page: URL): PageClient {
  const url = (path: string) => new URL(path, page).href;
  const ask = async (path: string, options?: RequestInit): Promise<Response> => {
    const response = await fetch(url(path), options).catch((error: Error) => {
      if (error.name === 'AbortError') throw error;
      throw new Error('The server does not answer. Is tb-sample serve still running?');
    });
    if (!response.ok) throw new Error(await reasonOf(response));
    return response;
  };
  async function* job(path: string, request: unknown, signal: AbortSignal): AsyncIterable<JobEvent> {
    const headers = { 'content-type': 'application/json' };
    const response = await ask(path, { method: 'POST', headers, body: JSON.stringify(request), signal });
    yield* serverSentEvents<JobEvent>(response.body!);
  }
  return {
    model: async () => (await ask('api/model')).json() as Promise<ModelInfo>,
    async upload(file) {
      const headers = { 'content-type': 'application/octet-stream' };
      const response = await ask('api/images', { method: 'POST', headers, body: file });
      return response.json() as Promise<UploadedImage>;
    },
    generate: (request, signal) => job('api/generate', request, signal),
    edit: (request, signal) => job('api/edit', request, signal),
    reconstruct: (request, signal) => job('api/reconstruct', request, signal),
    runs: async () => (await ask('api/runs')).json() as Promise<RunList>,
    async *follow(run, signal) {
      yield* serverSentEvents<RunEvent>((await ask(`api/runs/${run}/events`, { signal })).body!);
    },
    sampleUrl: (run, step) => url(`api/runs/${run}/samples/${step}`),
  };
}

/** A sentence for people from a refused request. */
async function reasonOf(response: Response): Promise<string> {
  const refusal = (await response.json().catch(() => undefined)) as Refusal | undefined;
  return refusal?.message ?? `The server refused the request (${response.status}).`;
}
