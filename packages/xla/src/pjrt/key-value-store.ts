/**
 * The key-value store through which the processes of a job find each other: process 0 serves it over TCP, and all
 * processes, process 0 included, are its clients.
 *
 * A client is synchronous, since PJRT's callbacks must answer before they return, and Node has no blocking sockets: the
 * sockets live in a Worker, and the caller sleeps on shared memory until it answers. The store has no password; like
 * every rendezvous of this kind it belongs on a private network.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';

export type StoreAddress = {
  /** Where process 0 can be reached. */
  host: string;
  port: number;
};

export type KeyValueStore = {
  put(key: string, value: Uint8Array): void;
  /** Waits until some process has put the key. @throws KeyValueError DEADLINE_EXCEEDED */
  get(key: string, timeoutMilliseconds: number): Uint8Array;
  /** Undefined when nobody has put the key yet. */
  tryGet(key: string): Uint8Array | undefined;
};

export class KeyValueError extends Error {
  override readonly name = 'KeyValueError';
  readonly code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE';

  constructor(code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE', message: string) {
    super(`key-value store: ${code}: ${message}`);
    this.code = code;
  }
}

/** Where a client writes its requests and finds the answers. Can be sent to another thread. */
export type Mailbox = { port: MessagePort; memory: SharedArrayBuffer };

type Request = { operation: 'put' | 'get' | 'tryGet'; key: string; value?: string; timeout?: number };

/** In the shared memory: a word that says what came, the answer's length, then its bytes. */
const HEADER_BYTES = 8;
const CAPACITY = 4 * 1024 * 1024;
const STATES = { waiting: 0, value: 1, absent: 2, deadline: 3, lost: 4 } as const;

/** A client whose requests go through `mailbox`. One request at a time, as long as one thread uses it. */
export function storeClient({ port, memory }: Mailbox): KeyValueStore {
  const state = new Int32Array(memory, 0, 2);
  const bytes = new Uint8Array(memory, HEADER_BYTES);

  function ask(request: Request): Uint8Array | undefined {
    Atomics.store(state, 0, STATES.waiting);
    port.postMessage(request);
    Atomics.wait(state, 0, STATES.waiting);
    const answer = Atomics.load(state, 0);
    if (answer === STATES.value) return bytes.slice(0, state[1]);
    if (answer === STATES.absent) return undefined;
    const code = answer === STATES.deadline ? 'DEADLINE_EXCEEDED' : 'UNAVAILABLE';
    throw new KeyValueError(code, `${request.operation} ${request.key}`);
  }

  return {
    put: (key, value) => void ask({ operation: 'put', key, value: Buffer.from(value).toString('base64') }),
    get: (key, timeout) => ask({ operation: 'get', key, timeout })!,
    tryGet: (key) => ask({ operation: 'tryGet', key }),
  };
}

export type StoreOptions = StoreAddress & {
  /** This process serves the store. */
  serve: boolean;
  /** How long to try to reach the server; default 300 s. */
  connectTimeoutMilliseconds?: number;
};

type WorkerData = Required<StoreOptions> & { mailboxes: Mailbox[]; capacity: number; states: typeof STATES };

/**
 * The Worker's whole program. It runs from its source text, so it uses nothing from this file: everything comes through
 * its arguments.
 */
/* v8 ignore start */
function runStoreWorker(require: NodeJS.Require): void {
  const net = require('node:net') as typeof import('node:net');
  const { parentPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads');
  const { host, port, serve, connectTimeoutMilliseconds, mailboxes, capacity, states } = workerData as WorkerData;
  type Line = Request & { id: number };
  type Answer = { id: number; state: number; value?: string };

  /** Calls `take` with each line of JSON that arrives. */
  function readLines(socket: import('node:net').Socket, take: (line: unknown) => void): void {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      for (const line of lines) take(JSON.parse(line));
    });
  }

  function startServer(ready: () => void): void {
    const values = new Map<string, string>();
    const waiting = new Map<string, Set<(value: string) => void>>();
    const server = net.createServer((socket) => {
      const answer = (message: Answer) => socket.writable && socket.write(`${JSON.stringify(message)}\n`);
      socket.on('error', () => socket.destroy());
      readLines(socket, (line) => {
        const { id, operation, key, value, timeout } = line as Line;
        const known = values.get(key);
        if (operation === 'put') {
          values.set(key, value!);
          for (const tell of waiting.get(key) ?? []) tell(value!);
          waiting.delete(key);
          answer({ id, state: states.absent });
        } else if (known !== undefined) answer({ id, state: states.value, value: known });
        else if (operation === 'tryGet') answer({ id, state: states.absent });
        else {
          const tell = (found: string) => {
            clearTimeout(timer);
            answer({ id, state: states.value, value: found });
          };
          const timer = setTimeout(() => {
            waiting.get(key)?.delete(tell);
            answer({ id, state: states.deadline });
          }, timeout);
          waiting.set(key, (waiting.get(key) ?? new Set()).add(tell));
        }
      });
    });
    server.on('error', (error) =>
      parentPort!.postMessage({ failed: `cannot serve on port ${port}: ${error.message}` }),
    );
    server.listen(port, ready);
  }

  function connect(deadline: number, connected: (socket: import('node:net').Socket) => void): void {
    const socket = net.connect({ host, port, noDelay: true });
    socket.once('connect', () => connected(socket));
    socket.on('error', (error) => {
      if (socket.readyState === 'open') return;
      if (Date.now() < deadline) setTimeout(() => connect(deadline, connected), 200);
      else parentPort!.postMessage({ failed: `cannot reach ${host}:${port}: ${error.message}` });
    });
  }

  function serveMailboxes(socket: import('node:net').Socket): void {
    let lastId = 0;
    let lost = false;
    const pending = new Map<number, (answer: Answer) => void>();
    readLines(socket, (line) => {
      const answer = line as Answer;
      pending.get(answer.id)?.(answer);
      pending.delete(answer.id);
    });
    socket.on('close', () => {
      lost = true;
      for (const [id, take] of pending) take({ id, state: states.lost });
      pending.clear();
    });
    for (const { port: requests, memory } of mailboxes) {
      const state = new Int32Array(memory, 0, 2);
      const bytes = new Uint8Array(memory, 8);
      const take = (answer: Answer) => {
        const value = Buffer.from(answer.value ?? '', 'base64');
        const fits = value.length <= capacity;
        if (fits) bytes.set(value);
        state[1] = value.length;
        Atomics.store(state, 0, fits ? answer.state : states.lost);
        Atomics.notify(state, 0);
      };
      requests.on('message', (request: Request) => {
        lastId += 1;
        if (lost) return take({ id: lastId, state: states.lost });
        pending.set(lastId, take);
        socket.write(`${JSON.stringify({ ...request, id: lastId })}\n`);
      });
    }
    parentPort!.postMessage({ ready: true });
  }

  const begin = () => connect(Date.now() + connectTimeoutMilliseconds, serveMailboxes);
  if (serve) startServer(begin);
  else begin();
}
/* v8 ignore stop */

/** Starts a Worker from a function's own text: no file that a bundler would have to carry along. */
export function startFunctionWorker(
  run: (require: NodeJS.Require) => void,
  data: object,
  transfer: MessagePort[],
): Worker {
  // Some compilers wrap functions in a helper that keeps their names.
  const helper = 'const __name = (value) => value;';
  const source = `${helper}(${run.toString()})(require('node:module').createRequire(require('node:worker_threads').workerData.base));`;
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

export type OpenStore = {
  /** For this thread. */
  readonly client: KeyValueStore;
  /** For another thread. */
  readonly mailbox: Mailbox;
  close(): Promise<void>;
};

/**
 * Serves the store if asked to, and connects to it.
 * @throws Error when the port is taken, or the server cannot be reached in time
 */
export async function openKeyValueStore(options: StoreOptions): Promise<OpenStore> {
  const channels = [new MessageChannel(), new MessageChannel()] as const;
  const memories = channels.map(() => new SharedArrayBuffer(HEADER_BYTES + CAPACITY));
  const data: WorkerData = {
    connectTimeoutMilliseconds: 300_000,
    ...options,
    mailboxes: channels.map(({ port2 }, index) => ({ port: port2, memory: memories[index]! })),
    capacity: CAPACITY,
    states: STATES,
  };
  const worker = startFunctionWorker(
    runStoreWorker,
    data,
    channels.map(({ port2 }) => port2),
  );
  try {
    await workerReady(worker, 'openKeyValueStore');
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  worker.unref();
  return {
    client: storeClient({ port: channels[0].port1, memory: memories[0]! }),
    mailbox: { port: channels[1].port1, memory: memories[1]! },
    async close() {
      channels[0].port1.close();
      await worker.terminate();
    },
  };
}
