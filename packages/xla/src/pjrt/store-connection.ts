/** How a process gets into the store of its job. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import {
  type Hello,
  isProof,
  type JobIdentity,
  lineLimits,
  proofOf,
  type Refusal,
  readLines,
  sendLine,
} from './store-protocol.js';

/** Where the store is, and who asks to be let in. */
export type ConnectionOptions = {
  host: string;
  port: number;
  identity: JobIdentity;
  secret: string;
  index: number;
  /** Name of this host, for messages. */
  hostName: string;
  /** How long to try. */
  connectMs: number;
};

/** A connection that was let in. */
export type Connection = {
  socket: Socket;
  /** Calls `take` with each message from now on, in place of what was there before. */
  onLine(take: (line: Record<string, unknown>) => void): void;
};

/** Between two attempts. */
const retryMs = 200;

/** A server that has not answered after this is not the store. */
const answerMs = 10_000;

/**
 * Tries to get in until the time is up. Waits for a server that is not there yet, and for the end of that of an
 * earlier start of the job.
 *
 * @param failed - called with a sentence when this process does not get in
 */
export function enterStore(
  options: ConnectionOptions,
  entered: (connection: Connection) => void,
  failed: (reason: string) => void,
): void {
  const { host, port } = options;
  const deadline = performance.now() + options.connectMs;
  const attempt = () => {
    tryToEnter(options, (result) => {
      if ('socket' in result) entered(result);
      else if (result.isFinal || performance.now() >= deadline) failed(`${host}:${port} ${result.reason}`);
      else setTimeout(attempt, retryMs);
    });
  };
  attempt();
}

type Failure = { reason: string; isFinal: boolean };

function tryToEnter(options: ConnectionOptions, done: (result: Connection | Failure) => void): void {
  const { host, port, identity, secret, index, hostName } = options;
  const socket = connect({ host, port, noDelay: true });
  let isDone = false;
  const finish = (result: Connection | Failure) => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    if (!('socket' in result)) socket.destroy();
    done(result);
  };
  const timer = setTimeout(
    () => finish({ reason: 'cannot be reached, or is not the store of a job: it does not answer', isFinal: false }),
    answerMs,
  );
  const nonce = randomBytes(16).toString('base64');
  let serverNonce: string | undefined;
  let take = (line: Record<string, unknown>) => {
    if (serverNonce === undefined) {
      if (typeof line.nonce !== 'string') return finish({ reason: 'is not the store of a job', isFinal: true });
      serverNonce = line.nonce;
      const claims = { ...identity, index, host: hostName, pid: process.pid };
      const proof = proofOf(secret, 'client', [serverNonce, nonce], claims);
      sendLine(socket, { ...claims, nonce, proof } satisfies Hello);
    } else if (isProof(line.welcome, proofOf(secret, 'server', [serverNonce, nonce], identity))) {
      finish({
        socket,
        onLine: (next) => {
          take = next;
        },
      });
    } else {
      const refused = typeof line.refused === 'string' ? (line.refused as Refusal) : 'secret';
      finish({ reason: `refuses process ${index}: ${reasonOf(refused, line.by)}`, isFinal: !isPassing(refused) });
    }
  };
  readLines(
    socket,
    (line) => take(line),
    () => lineLimits.member,
  );
  socket.on('error', (error) => finish({ reason: `cannot be reached: ${error.message}`, isFinal: false }));
  socket.on('close', () =>
    finish({ reason: 'is not the store of a job, or has just ended: it closes the connection', isFinal: false }),
  );
}

/** The store is about to end, and another one may take its place. */
const isPassing = (refused: Refusal) => refused === 'earlier' || refused === 'ended';

function reasonOf(refused: Refusal, by: unknown): string {
  const reasons: Record<Refusal, string> = {
    secret: 'it has another secret. TB_SECRET must be the same in all processes',
    job: 'it belongs to another job. Choose another port for one of them',
    count: 'it has another number of processes',
    old: 'the job was started again since, and this process belongs to an earlier start',
    earlier: 'the earlier start of the job has not ended',
    taken: `${String(by)}, has joined already`,
    ended: 'the job has failed and is about to end',
  };
  return reasons[refused] ?? 'it gives no reason';
}
