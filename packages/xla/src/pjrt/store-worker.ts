/**
 * The thread behind the key-value store (a worker entry): it serves the store in process 0, is its TCP client, answers
 * the mailboxes of sleeping threads, sends heartbeats, and ends this process when the job has failed.
 *
 * Heartbeats come from this thread, so they continue while the main thread compiles for minutes. How far the main thread is,
 * it reports by messages.
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { Progress } from '@tb/runtime';
import { type Connection, enterStore } from './store-connection.js';
import { answerMailbox, type Mailbox, type StoreRequest, StoreState } from './store-mailbox.js';
import { type Beat, type ClientLine, type JobIdentity, type ServerLine, sendLine } from './store-protocol.js';
import { type StoreServer, startStoreServer } from './store-server.js';

export type StoreWorkerData = {
  host: string;
  port: number;
  identity: JobIdentity;
  secret: string;
  index: number;
  hostName: string;
  connectTimeoutMilliseconds: number;
  beatMs: number;
  lostMs: number;
  /** Whether to end this process if its main thread does not do so when the job has failed. */
  endsProcess: boolean;
  mailboxes: Mailbox[];
};

/** What the main thread sends. */
export type StoreCommand =
  | { report: Progress }
  | { fail: string }
  /** This process has finished; answered with `left` once no other process needs this one's server. */
  | { leave: true };

/** What the main thread gets. */
export type StoreEvent = { ready: true } | { failed: string } | { ended: string } | { left: true };

const options = workerData as StoreWorkerData;
/** Process 0 serves the store. */
const isServer = options.index === 0;
const post = (event: StoreEvent) => parentPort!.postMessage(event);

/** How long starting may take: loading, joining, the first compilation. */
const startMs = 30 * 60_000;

/** A step may take ten times as long as the slowest of the last ones, and at least this. */
const leastStepMs = 40_000;

/** How long the main thread may take to end the process by itself. */
const graceMs = 2000;

/** What is known of a process whose connection has closed. */
const withoutNotice = 'has ended without notice';

/** How long process 0 waits for the others before it stops serving them. */
const leaveMs = 60_000;

let server: StoreServer | undefined;
const begin = () => enterStore({ ...options, connectMs: options.connectTimeoutMilliseconds }, live, fail);
const fail = (failed: string) => post({ failed });
if (isServer) server = startStoreServer(serverOptions(), begin, fail);
else begin();

function serverOptions() {
  const { host, port, identity, secret, lostMs, connectTimeoutMilliseconds: joinMs } = options;
  const isLocal = host === '127.0.0.1' || host === '::1' || host === 'localhost';
  return { ...(isLocal && { host }), port, identity, secret, lostMs, joinMs };
}

/** Serves the mailboxes and the main thread, and sends heartbeats, until the job ends. */
function live({ socket, onLine }: Connection): void {
  const progress = createProgress();
  let heardAt = performance.now();
  let steps: number[] = [];
  let hasLeft = false;
  let ended: string | undefined;
  const send = (line: ClientLine) => sendLine(socket, line);

  const end = (reason: string) => {
    if (ended !== undefined || hasLeft) return;
    ended = reason;
    clearInterval(timer);
    post({ ended });
    if (options.endsProcess) setTimeout(endProcess, graceMs, reason);
    requests.abandon(reason);
  };
  const lostServer = (how: string) =>
    `process 0 at ${options.host}:${options.port}, last step ${steps[0] ?? 0}, which serves the job's store, ${how}`;

  const beat = () => {
    const silent = performance.now() - heardAt;
    if (silent > options.lostMs) end(lostServer(`has not been heard from for ${Math.round(silent / 1000)} s`));
    else send({ beat: progress.beat() });
  };
  const timer = setInterval(beat, options.beatMs);
  beat();

  onLine((line) => {
    heardAt = performance.now();
    const message = line as ServerLine;
    if ('steps' in message) steps = message.steps;
    // Process 0 lets the others hear the reason first: it is the one that sends it.
    else if ('end' in message) setTimeout(end, isServer ? 200 : 0, String(message.end));
    else requests.settle(message);
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    // The reason, if there is one, is read first.
    setTimeout(() => end(lostServer(withoutNotice)), 100);
  });

  const whyLost = () => ended ?? (socket.destroyed ? lostServer(withoutNotice) : undefined);
  const requests = forwardRequests(send, whyLost);
  parentPort!.on('message', (command: StoreCommand) => {
    if ('report' in command) progress.report(command.report);
    else if ('fail' in command) send({ fail: command.fail });
    else {
      hasLeft = true;
      clearInterval(timer);
      send({ leave: true });
      waitForOthers(performance.now() + leaveMs);
    }
  });
  post({ ready: true });
}

/**
 * Sends on the requests of the mailboxes.
 *
 * @param whyLost - returns the reason where nothing answers any more
 */
function forwardRequests(send: (line: ClientLine) => void, whyLost: () => string | undefined) {
  const pending = new Map<number, SharedArrayBuffer>();
  let lastId = 0;
  const refuse = (memory: SharedArrayBuffer, reason: string) =>
    answerMailbox(memory, StoreState.lost, new TextEncoder().encode(reason));
  for (const { port, memory } of options.mailboxes) {
    port.on('message', (request: StoreRequest) => {
      const reason = whyLost();
      if (reason !== undefined) return refuse(memory, reason);
      lastId += 1;
      pending.set(lastId, memory);
      send({ ...request, id: lastId });
    });
  }
  return {
    settle({ id, state, value = '' }: { id: number; state: number; value?: string }): void {
      const memory = pending.get(id);
      if (memory) answerMailbox(memory, state, Buffer.from(value, 'base64'));
      pending.delete(id);
    },
    abandon(reason: string): void {
      for (const memory of pending.values()) refuse(memory, reason);
      pending.clear();
    },
  };
}

/** Process 0 keeps serving until the others have left; the job is over if they do not. */
function waitForOthers(deadline: number): void {
  if (!server || server.present() === 0 || performance.now() > deadline) post({ left: true });
  else setTimeout(waitForOthers, 20, deadline);
}

/** How far this process is, from what the main thread reports. */
function createProgress() {
  let current: Progress & { limitMs: number } = { step: 0, phase: 'starting', limitMs: startMs };
  let reportedAt = performance.now();
  let recent: number[] = []; // durations of the last steps
  return {
    report({ step, phase, limitMs }: Progress): void {
      const now = performance.now();
      if (current.phase === undefined && step > current.step) recent = [...recent, now - reportedAt].slice(-10);
      const ownLimit = Math.max(leastStepMs, 10 * Math.max(0, ...recent));
      current = { step, ...(phase !== undefined && { phase }), limitMs: limitMs ?? ownLimit };
      reportedAt = now;
    },
    beat: (): Beat => ({ ...current, idleMs: performance.now() - reportedAt }),
  };
}

/** The main thread does not react: it computes, or waits for a process that is gone. Nothing milder reaches it. */
function endProcess(reason: string): void {
  try {
    writeSync(2, `\nthe job has failed: ${reason}\n`);
  } catch {}
  process.kill(process.pid, 'SIGKILL');
}
