import type { JobEvent, PageClient, UploadedImage } from '../../../src/page/messages.js';
import type { FromWorker, JobRequest, Loading, SiteFile, ToWorker } from './site-messages.js';

/** The client of the static site. */
export type SiteClient = {
  client: PageClient;
  site(): Promise<SiteFile>;
  /** Calls a function whenever more of the weights is there. Returns what ends it. */
  onLoading(report: (loading: Loading | null) => void): () => void;
};

/** One call that the Worker answers. */
type Call = { event?(event: JobEvent): void; end(value?: UploadedImage): void; fail(error: Error): void };

/** Sends calls to the Worker. */
type Sender = { begin(call: Call): number; send(message: ToWorker): Promise<void>; forget(id: number): void };

/** Computes in a Worker, which starts when it is needed for the first time. @param page - address of the page */
export function workerClient(page: URL): SiteClient {
  const listeners = new Set<(loading: Loading | null) => void>();
  let file: Promise<SiteFile> | undefined;
  const site = () => {
    file ??= readSiteFile(page);
    return file;
  };
  const report = (loading: Loading | null) => {
    for (const listener of listeners) listener(loading);
  };
  return {
    client: clientOf(site, createSender(page, site, report)),
    site,
    onLoading(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function createSender(page: URL, site: SiteClient['site'], report: (loading: Loading | null) => void): Sender {
  const calls = new Map<number, Call>();
  let lastId = 0;
  let worker: Promise<Worker> | undefined;
  const take = ({ data }: MessageEvent<FromWorker>) => {
    if (data.type === 'loading') return report(data.loading);
    const call = calls.get(data.id);
    if (data.type === 'event') call?.event?.(data.event);
    else if (data.type === 'uploaded') call?.end(data.image);
    else if (data.type === 'ended') call?.end();
    else call?.fail(new Error(data.message));
  };
  const open = async () => {
    const made = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    made.addEventListener('message', take);
    made.addEventListener('error', () => {
      worker = undefined;
      for (const call of calls.values()) call.fail(new Error('This browser could not run the program of the page.'));
    });
    made.postMessage({ type: 'open', page: page.href, site: await site() } satisfies ToWorker);
    return made;
  };
  return {
    begin(call) {
      lastId += 1;
      calls.set(lastId, call);
      return lastId;
    },
    async send(message) {
      worker ??= open();
      (await worker).postMessage(message);
    },
    forget: (id) => void calls.delete(id),
  };
}

function clientOf(site: SiteClient['site'], { begin, send, forget }: Sender): PageClient {
  async function* job(request: JobRequest, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const events = createChannel<JobEvent>();
    const id = begin({ event: events.push, end: events.end, fail: events.fail });
    const cancel = () => send({ type: 'cancel', id });
    signal.addEventListener('abort', cancel);
    try {
      send({ type: 'start', id, job: request }).catch(events.fail);
      yield* events.read();
    } finally {
      signal.removeEventListener('abort', cancel);
      forget(id);
    }
  }
  const upload = (image: Blob) =>
    new Promise<UploadedImage>((resolve, reject) => {
      const id = begin({ end: (value) => resolve(value!), fail: reject });
      send({ type: 'upload', id, file: image }).catch(reject);
    });
  return {
    model: async () => (await site()).info,
    upload,
    generate: (request, signal) => job({ kind: 'generate', request }, signal),
    edit: (request, signal) => job({ kind: 'edit', request }, signal),
    reconstruct: (request, signal) => job({ kind: 'reconstruct', request }, signal),
    runs: async () => ({ runs: [] }),
    async *follow() {},
    sampleUrl: () => '',
  };
}

async function readSiteFile(page: URL): Promise<SiteFile> {
  const response = await fetch(new URL('site.json', page)).catch(() => undefined);
  if (!response?.ok) throw new Error('The description of this site could not be loaded. Reload the page to try again.');
  return response.json() as Promise<SiteFile>;
}

/** A queue of values, written by callbacks and read by a loop. */
function createChannel<Value>() {
  const values: Value[] = [];
  let fault: Error | undefined;
  let isEnded = false;
  let wake = () => {};
  const changed = () => wake();
  return {
    push(value: Value) {
      values.push(value);
      changed();
    },
    end() {
      isEnded = true;
      changed();
    },
    fail(error: Error) {
      fault = error;
      changed();
    },
    async *read(): AsyncGenerator<Value> {
      while (true) {
        while (values.length > 0) yield values.shift()!;
        if (fault) throw fault;
        if (isEnded) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
