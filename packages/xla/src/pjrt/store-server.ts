/** The server of the key-value store: lets the processes of one job in, keeps their values, and watches over them. */
import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { type StoreRequest, StoreState } from './store-mailbox.js';
import { describeMember, failureOf, type Member, type Patience } from './store-members.js';
import {
  type Beat,
  type ClientLine,
  type Hello,
  isProof,
  type JobIdentity,
  lineLimits,
  proofOf,
  type Refusal,
  readLines,
  type ServerLine,
  sendLine,
} from './store-protocol.js';

/** What a server is started with. */
export type ServerOptions = Patience & {
  /** Interface to listen at; all of them by default. */
  host?: string;
  port: number;
  identity: JobIdentity;
  secret: string;
};

/** Strangers that have not proved anything are cut off after this. */
const helloMs = 10_000;

/** Connections that have not proved anything, at most. */
const mostStrangers = 1024;

/** A server that runs. */
export type StoreServer = {
  /** Number of processes that have not left. */
  present(): number;
};

/**
 * Serves the store.
 *
 * @param ready - called when processes can connect
 * @param failed - called with the reason if the port cannot be served
 */
export function startStoreServer(
  options: ServerOptions,
  ready: () => void,
  failed: (reason: string) => void,
): StoreServer {
  const values = createValues();
  const job = createJob(options);
  let strangers = 0;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    if (strangers >= mostStrangers) return void socket.destroy();
    strangers += 1;
    const nonce = randomBytes(16).toString('base64');
    let member: Member | undefined;
    const admitted = () => {
      strangers -= 1;
      clearTimeout(timer);
    };
    const timer = setTimeout(() => socket.destroy(), helloMs);
    const take = (line: Record<string, unknown>) => {
      if (member) return takeLine(line as ClientLine, member, socket, { job, values });
      member = job.admit(line as Partial<Hello>, nonce, socket);
      if (member) admitted();
      else socket.end();
    };
    readLines(socket, take, () => (member ? lineLimits.member : lineLimits.stranger));
    socket.on('close', () => {
      if (member) job.closed(member);
      else admitted();
    });
    sendLine(socket, { nonce });
  });
  server.on('error', (error) => failed(`cannot serve on port ${options.port}: ${error.message}`));
  server.listen({ port: options.port, host: options.host }, ready);
  setInterval(job.check, Math.min(1000, options.lostMs / 4));
  return { present: job.present };
}

function takeLine(
  line: ClientLine,
  member: Member,
  socket: Socket,
  { job, values }: { job: ReturnType<typeof createJob>; values: ReturnType<typeof createValues> },
): void {
  if ('operation' in line) values.answer(line, (answer) => sendLine(socket, answer));
  else if ('beat' in line) sendLine(socket, { steps: job.beat(member, line.beat) } satisfies ServerLine);
  else if ('leave' in line) job.left(member);
  else if ('fail' in line) job.end(`${describeMember(member)}, failed: ${String(line.fail).slice(0, 1000)}`);
}

/** Why a process does not belong to this job. Without the secret, it learns nothing else. */
function refusalOf(
  { proof, nonce: other, ...claims }: Partial<Hello>,
  nonce: string,
  { identity, secret }: Pick<ServerOptions, 'identity' | 'secret'>,
): Refusal | undefined {
  if (!isProof(proof, proofOf(secret, 'client', [nonce, String(other)], claims))) return 'secret';
  const { job, incarnation = -1, index = -1, count } = claims;
  if (job !== identity.job) return 'job';
  if (!Number.isInteger(incarnation) || incarnation < identity.incarnation) return 'old';
  if (incarnation > identity.incarnation) return 'earlier';
  return count === identity.count && Number.isInteger(index) && index >= 0 && index < count ? undefined : 'count';
}

/** The processes of the job that this store belongs to. */
function createJob({ identity, secret, lostMs, joinMs }: ServerOptions) {
  const members = new Map<number, { member: Member; socket: Socket }>();
  const startedAt = performance.now();
  let ended: string | undefined;

  function end(reason: string): void {
    if (ended !== undefined) return;
    ended = reason;
    for (const { socket } of members.values()) sendLine(socket, { end: reason } satisfies ServerLine);
  }

  return {
    end,
    /** Lets a process in, or sends it the reason why not. */
    admit(hello: Partial<Hello>, nonce: string, socket: Socket): Member | undefined {
      const isTaken = members.has(hello.index ?? -1);
      const refused =
        refusalOf(hello, nonce, { identity, secret }) ??
        (ended === undefined ? undefined : 'ended') ??
        (isTaken ? 'taken' : undefined);
      if (refused) {
        sendLine(socket, { refused, by: refused === 'taken' ? describeMember(members.get(hello.index!)!.member) : '' });
        return undefined;
      }
      const { index, host, pid } = hello as Hello;
      const beat = { step: 0, phase: 'starting', idleMs: 0, limitMs: Number.POSITIVE_INFINITY };
      const shown = String(host)
        .replace(/[^\w.:-]/g, '?')
        .slice(0, 80);
      const member = { index, host: shown, pid: Number(pid), beat, beatAt: performance.now(), hasLeft: false };
      members.set(index, { member, socket });
      sendLine(socket, { welcome: proofOf(secret, 'server', [nonce, String(hello.nonce)], identity) });
      return member;
    },
    beat(member: Member, beat: Beat): number[] {
      member.beat = beat;
      member.beatAt = performance.now();
      return Array.from({ length: identity.count }, (_, index) => members.get(index)?.member.beat.step ?? 0);
    },
    left(member: Member): void {
      member.hasLeft = true;
    },
    closed(member: Member): void {
      if (!member.hasLeft) end(`${describeMember(member)}, has ended without notice`);
      member.hasLeft = true;
    },
    check(): void {
      const all = Array.from(members.values(), ({ member }) => member);
      const reason = failureOf(all, { count: identity.count, startedAt, now: performance.now() }, { lostMs, joinMs });
      if (reason !== undefined) end(reason);
    },
    present: () => Array.from(members.values()).filter(({ member }) => !member.hasLeft).length,
  };
}

type Line = StoreRequest & { id: number };
type Reply = (answer: { id: number; state: number; value?: string }) => void;

/** The values, and the requests that wait for a value. */
function createValues() {
  const values = new Map<string, string>();
  const waiting = new Map<string, Set<(value: string) => void>>();

  function put({ id, key, value }: Line, reply: Reply): void {
    values.set(key, value!);
    for (const wake of waiting.get(key) ?? []) wake(value!);
    waiting.delete(key);
    reply({ id, state: StoreState.absent });
  }

  function wait({ id, key, timeout }: Line, reply: Reply): void {
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
    answer(line: Line, reply: Reply): void {
      const value = values.get(line.key);
      if (line.operation === 'put') put(line, reply);
      else if (value !== undefined) reply({ id: line.id, state: StoreState.value, value });
      else if (line.operation === 'tryGet') reply({ id: line.id, state: StoreState.absent });
      else wait(line, reply);
    },
  };
}
