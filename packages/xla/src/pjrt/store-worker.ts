/**
 * The thread behind the key-value store (a worker entry): it serves the store if this process is to, is its TCP client, and
 * answers the mailboxes of sleeping threads.
 */
import { connect, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { answerMailbox, type Mailbox, type StoreRequest, StoreState } from './store-mailbox.js';
import { readLines, type StoreAnswer, startStoreServer } from './store-server.js';

export type StoreWorkerData = {
  host: string;
  port: number;
  serve: boolean;
  connectTimeoutMilliseconds: number;
  mailboxes: Mailbox[];
};

const { host, port, serve, connectTimeoutMilliseconds, mailboxes } = workerData as StoreWorkerData;
const fail = (reason: string) => parentPort!.postMessage({ failed: reason });
const begin = () => reachServer(Date.now() + connectTimeoutMilliseconds, serveMailboxes);
if (serve) startStoreServer(port, begin, fail);
else begin();

/** Tries to connect until the deadline. */
function reachServer(deadline: number, connected: (socket: Socket) => void): void {
  const socket = connect({ host, port, noDelay: true });
  socket.once('connect', () => connected(socket));
  socket.on('error', (error) => {
    if (socket.readyState === 'open') return;
    if (Date.now() < deadline) setTimeout(() => reachServer(deadline, connected), 200);
    else fail(`cannot reach ${host}:${port}: ${error.message}`);
  });
}

/** Sends on the requests of the mailboxes, and gives them the answers. */
function serveMailboxes(socket: Socket): void {
  let lastId = 0;
  let isLost = false;
  const pending = new Map<number, SharedArrayBuffer>();
  readLines(socket, (line) => {
    const { id, state, value = '' } = line as StoreAnswer;
    const memory = pending.get(id);
    if (memory) answerMailbox(memory, state, Buffer.from(value, 'base64'));
    pending.delete(id);
  });
  socket.on('close', () => {
    isLost = true;
    for (const memory of pending.values()) answerMailbox(memory, StoreState.lost, new Uint8Array());
    pending.clear();
  });
  for (const { port: requests, memory } of mailboxes) {
    requests.on('message', (request: StoreRequest) => {
      if (isLost) return answerMailbox(memory, StoreState.lost, new Uint8Array());
      lastId += 1;
      pending.set(lastId, memory);
      socket.write(`${JSON.stringify({ ...request, id: lastId })}\n`);
    });
  }
  parentPort!.postMessage({ ready: true });
}
