/** Who has joined a job, how far each process is, and whether the job has failed. Knows no sockets and no clock. */
import type { Beat } from './store-protocol.js';

/** A process that has joined. Times are in ms of the server's clock. */
export type Member = {
  index: number;
  host: string;
  pid: number;
  /** Last beat, and when it came. */
  beat: Beat;
  beatAt: number;
  /** Whether it has finished its work and said so. */
  hasLeft: boolean;
};

/** How long a process may be silent. */
export type Patience = {
  /** Without a heartbeat. */
  lostMs: number;
  /** Until all processes have joined. */
  joinMs: number;
};

/** `process 1 (host b, PID 17), last step 120`. */
export function describeMember({ index, host, pid, beat }: Pick<Member, 'index' | 'host' | 'pid' | 'beat'>): string {
  const phase = beat.phase === undefined ? '' : `, ${beat.phase}`;
  return `process ${index} (host ${host}, PID ${pid}), last step ${beat.step}${phase}`;
}

/**
 * Why the job has failed, in one sentence; undefined while it has not.
 *
 * A job hangs when none of its slowest processes has reported anything for as long as it may take: the others wait for
 * them. A slowest process within its time, such as one that writes a checkpoint while the others wait, is not at fault.
 *
 * @param count - of the job's processes
 * @param startedAt - when the store was opened
 */
export function failureOf(
  members: readonly Member[],
  { count, startedAt, now }: { count: number; startedAt: number; now: number },
  { lostMs, joinMs }: Patience,
): string | undefined {
  const present = members.filter(({ hasLeft }) => !hasLeft);
  const silent = present.find(({ beatAt }) => now - beatAt > lostMs);
  if (silent) return `${describeMember(silent)}, has not been heard from for ${seconds(now - silent.beatAt)}`;
  if (members.length < count) {
    if (now - startedAt <= joinMs) return undefined;
    const joined = new Set(members.map(({ index }) => index));
    const absent = Array.from({ length: count }, (_, index) => index).filter((index) => !joined.has(index));
    return `${nameProcesses(absent)} of ${count} ${absent.length === 1 ? 'has' : 'have'} not joined within ${seconds(joinMs)}`;
  }
  return hangOf(present, now);
}

function hangOf(present: readonly Member[], now: number): string | undefined {
  const least = Math.min(...present.map(({ beat }) => beat.step));
  const slowest = present.filter(({ beat }) => beat.step === least);
  const idle = ({ beat, beatAt }: Member) => beat.idleMs + now - beatAt;
  if (slowest.length === 0 || slowest.some((member) => idle(member) <= member.beat.limitMs)) return undefined;
  const [first, ...others] = slowest;
  const time = `no progress for ${seconds(idle(first!))}`;
  if (others.length === 0) return `${describeMember(first!)}, makes ${time}`;
  return `${nameProcesses(slowest.map(({ index }) => index))} make ${time}: ${slowest.slice(0, 4).map(describeMember).join('; ')}`;
}

function nameProcesses(indices: readonly number[]): string {
  const shown = indices.slice(0, 8).join(', ');
  return `${indices.length === 1 ? 'process' : 'processes'} ${shown}${indices.length > 8 ? ', …' : ''}`;
}

const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
