/** The server of the key-value store: one line of JSON for each request and each answer, over TCP. */
import { createServer, type Socket } from 'node:net';
import { type StoreRequest, StoreState } from './store-mailbox.js';

/** A request as it is sent; the answer has the same number. */
export type StoreLine = StoreRequest & { id: number };

export type StoreAnswer = { id: number; state: number; value?: string };

/** Serves the store. @param failed - called with the reason if the port cannot be served */
export function startStoreServer(port: number, ready: () => void, failed: (reason: string) => void): void {
  const store = createStore();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    readLines(socket, (line) => {
      store.answer(line as StoreLine, (message) => {
        if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
      });
    });
  });
  server.on('error', (error) => failed(`cannot serve on port ${port}: ${error.message}`));
  server.listen(port, ready);
}

type Reply = (answer: StoreAnswer) => void;

/** The values, and who waits for those that nobody has put yet. */
function createStore() {
  const values = new Map<string, string>();
  const waiting = new Map<string, Set<(value: string) => void>>();

  function put({ id, key, value }: StoreLine, reply: Reply): void {
    values.set(key, value!);
    for (const wake of waiting.get(key) ?? []) wake(value!);
    waiting.delete(key);
    reply({ id, state: StoreState.absent });
  }

  function wait({ id, key, timeout }: StoreLine, reply: Reply): void {
    const wake = (value: string) => {
      clearTimeout(timer);
      reply({ id, state: StoreState.value, value });
    };
    const timer = setTimeout(() => {
      waiting.get(key)?.delete(wake);
      reply({ id, state: StoreState.deadline });
    }, timeout);
    waiting.set(key, (waiting.get(key) ?? new Set()).add(wake));
  }

  return {
    answer(line: StoreLine, reply: Reply): void {
      const value = values.get(line.key);
      if (line.operation === 'put') put(line, reply);
      else if (value !== undefined) reply({ id: line.id, state: StoreState.value, value });
      else if (line.operation === 'tryGet') reply({ id: line.id, state: StoreState.absent });
      else wait(line, reply);
    },
  };
}

/** Calls `take` with each line of JSON that arrives. */
export function readLines(socket: Socket, take: (line: unknown) => void): void {
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
