/**
 * The thread behind the key-value store: it serves the store, is its TCP client, and answers the mailboxes of sleeping
 * threads. The functions here run from their source text in other threads, so each uses nothing but its arguments.
 */
import type { MessagePort } from 'node:worker_threads';

/** Where a thread writes its requests and sleeps until the answer is there. Can be sent to another thread. */
export type Mailbox = { port: MessagePort; memory: SharedArrayBuffer };

export type StoreRequest = { operation: 'put' | 'get' | 'tryGet'; key: string; value?: string; timeout?: number };

/** What the shared memory's first word says. Its second is the answer's length; the answer follows. */
export const STORE_STATES = { waiting: 0, value: 1, absent: 2, deadline: 3, lost: 4 } as const;

/** Room for answers of nearly 4 MiB; what PJRT exchanges are kilobytes. */
export const MAILBOX_BYTES = 4 * 1024 * 1024;

export type StoreWorkerData = {
  host: string;
  port: number;
  serve: boolean;
  connectTimeoutMilliseconds: number;
  mailboxes: Mailbox[];
  states: typeof STORE_STATES;
};

/** Sends a request and sleeps until its answer has come. */
export function askStore({ port, memory }: Mailbox, request: StoreRequest): { state: number; value: Uint8Array } {
  const words = new Int32Array(memory, 0, 2);
  Atomics.store(words, 0, 0);
  port.postMessage(request);
  Atomics.wait(words, 0, 0);
  const value = new Uint8Array(memory, 8, words[1]).slice();
  return { state: Atomics.load(words, 0), value };
}

/** The Worker's whole program; see `startFunctionWorker`. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: the program of a thread is one function, to run from its text
export function runStoreWorker(require: NodeJS.Require): void {
  const net = require('node:net') as typeof import('node:net');
  const { parentPort, workerData } = require('node:worker_threads') as typeof import('node:worker_threads');
  const { host, port, serve, connectTimeoutMilliseconds, mailboxes, states } = workerData as StoreWorkerData;
  type Line = StoreRequest & { id: number };
  type Answer = { id: number; state: number; value?: string };

  /** Calls `take` with each line of JSON that arrives. */
  function readLines(socket: import('node:net').Socket, take: (line: unknown) => void): void {
    let parts: string[] = []; // of a line whose end has not come
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      const [end, ...starts] = chunk.split('\n');
      parts.push(end!);
      for (const start of starts) {
        take(JSON.parse(parts.join('')));
        parts = [start];
      }
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
        const fits = value.length <= bytes.length;
        if (fits) bytes.set(value);
        state[1] = fits ? value.length : 0;
        Atomics.store(state, 0, fits ? answer.state : states.lost);
        Atomics.notify(state, 0);
      };
      requests.on('message', (request: StoreRequest) => {
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
