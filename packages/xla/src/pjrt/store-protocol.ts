/**
 * What the server of the key-value store and its clients send each other over TCP: one line of JSON for each message.
 *
 *     server → client   nonce of the server
 *     client → server   who it is, its own nonce, and a proof that it knows the secret
 *     server → client   its own proof, or why it refuses
 *     then              requests with a number, their answers with the same, heartbeats, and why the job ends
 *
 * The secret itself is never sent. What is sent is not encrypted.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { StoreRequest } from './store-mailbox.js';

/** Which job a store belongs to, or a process believes to belong to. */
export type JobIdentity = {
  job: string;
  /** How often the job was started before. */
  incarnation: number;
  /** Number of processes. */
  count: number;
};

/** Who asks to be let in. */
export type Hello = JobIdentity & { index: number; host: string; pid: number; nonce: string; proof: string };

/** Why a process is not let in. `earlier`: the store is that of an earlier start of the job, which may end soon. */
export type Refusal = 'secret' | 'job' | 'count' | 'old' | 'earlier' | 'taken' | 'ended';

/** What a client sends once it was let in. */
export type ClientLine =
  | (StoreRequest & { id: number })
  | { beat: Beat }
  | { leave: true }
  /** This process cannot continue, and states why. */
  | { fail: string };

/** How far a process is. */
export type Beat = {
  step: number;
  /** What it does, where it has announced something other than steps. */
  phase?: string;
  /** Time since it last reported anything. */
  idleMs: number;
  /** How long that may be. */
  limitMs: number;
};

/** What the server sends to a client that was let in. */
export type ServerLine =
  | { id: number; state: number; value?: string }
  /** Answers a heartbeat with the last steps of all processes, by their numbers. */
  | { steps: number[] }
  /** All processes end, for this reason. */
  | { end: string };

/** Proves to the other side that this one knows the secret, without sending it. */
export function proofOf(
  secret: string,
  side: 'client' | 'server',
  nonces: readonly string[],
  identity: object,
): string {
  return createHmac('sha256', secret)
    .update(JSON.stringify([side, nonces, identity]))
    .digest('base64');
}

/** Compares proofs in a time that does not depend on where they differ. */
export function isProof(found: unknown, expected: string): boolean {
  if (typeof found !== 'string') return false;
  const [a, b] = [Buffer.from(found), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Sends one message. */
export function sendLine(socket: Socket, line: object): void {
  if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
}

/** Longest line, in characters: before a process was let in, and afterwards. */
export const lineLimits = { stranger: 4096, member: 64 * 1024 * 1024 };

/**
 * Calls `take` with each message that arrives. Closes the connection at a line that is too long or not a JSON object.
 *
 * @param limit - returns the longest line that is accepted now
 */
export function readLines(socket: Socket, take: (line: Record<string, unknown>) => void, limit: () => number): void {
  let parts: string[] = []; // of a line whose end has not come
  let length = 0;
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const [end, ...starts] = chunk.split('\n');
    let part = end!;
    for (const start of [...starts, undefined]) {
      length += part.length;
      if (length > limit()) return void socket.destroy();
      parts.push(part);
      if (start === undefined) return;
      const line = parseLine(parts.join(''));
      if (!line) return void socket.destroy();
      parts = [];
      length = 0;
      part = start;
      take(line);
      if (socket.destroyed) return;
    }
  });
}

function parseLine(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
