// The course of a job: it waits for its turn, computes, and reports how it ended. Without modules of Node.
import { RefusedError } from './check-requests.js';
import { deliver, type JobContext } from './compute.js';
import type { JobEvent } from './messages.js';
import type { Queue } from './queue.js';

/** One job of the page. */
export type Job = {
  /** Who asks. */
  client: string;
  /** Aborted to cancel it. */
  signal: AbortSignal;
  emit(event: JobEvent): void;
  /** The equal command line, if there is one. */
  command: string | null;
  compute(context: JobContext): Promise<void>;
};

/** Why a job ended, for people, if it is not that it was cancelled. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

/** How long jobs may compute, and what becomes of errors that are not for people. */
export type JobLimits = { seconds: number; onError(error: unknown): void };

/**
 * Runs a job, with its events from `queued` or `started` to `done`, `cancelled` or `failed`. Throws at once where the queue is
 * full, before any event.
 *
 * @returns a promise that never rejects
 * @throws RefusedError with status 429
 */
export function startJob(queue: Queue, job: Job, limits: JobLimits): Promise<void> {
  const { client, signal, emit } = job;
  const limit = new AbortController();
  const either = AbortSignal.any([signal, limit.signal]);
  const ticket = queue.enter(client, either, (before) => emit({ type: 'queued', before }));
  return runJob(job, ticket, either, limit, limits).finally(() => ticket.leave());
}

async function runJob(
  { emit, command, compute, signal: own }: Job,
  ticket: ReturnType<Queue['enter']>,
  signal: AbortSignal,
  limit: AbortController,
  { seconds, onError }: JobLimits,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await ticket.turn();
    const tooLong = new StoppedError(`this took longer than the limit of ${seconds} seconds; ask for less at once`);
    timer = setTimeout(() => limit.abort(tooLong), 1000 * seconds);
    const begun = performance.now();
    emit({ type: 'started' });
    await deliver();
    signal.throwIfAborted(); // it may have been cancelled in the meantime
    await compute({ emit, signal, pass: ticket.pass });
    emit({ type: 'done', seconds: (performance.now() - begun) / 1000, command });
  } catch (error) {
    const isForPeople = error instanceof RefusedError || error instanceof StoppedError;
    if (isForPeople) emit({ type: 'failed', message: error.message });
    else if (own.aborted) emit({ type: 'cancelled' });
    else {
      onError(error);
      emit({ type: 'failed', message: 'something went wrong; the terminal of tb-sample shows more' });
    }
  } finally {
    clearTimeout(timer);
  }
}
