import { describe, expect, it } from 'vitest';
import { RefusedError } from './check-requests.js';
import type { JobEvent } from './messages.js';
import { createQueue, type Queue } from './queue.js';
import { type Job, StoppedError, startJob } from './run-job.js';

const never = new AbortController().signal;

/** Lets all waiting callbacks run. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

describe('createQueue', () => {
  /** A job of some turns, each of which writes its name. */
  async function takeTurns(queue: Queue, client: string, name: string, turns: number, log: string[]) {
    const ticket = queue.enter(client, never);
    await ticket.turn();
    for (let turn = 1; turn <= turns; turn++) {
      log.push(name);
      await settle();
      if (turn < turns) await ticket.pass();
    }
    ticket.leave();
  }

  it('gives turns to one client after another, and to the jobs of each one after another', async () => {
    const queue = createQueue(10);
    const log: string[] = [];
    await Promise.all([
      takeTurns(queue, 'a', 'a1', 3, log),
      takeTurns(queue, 'a', 'a2', 2, log),
      takeTurns(queue, 'b', 'b1', 2, log),
    ]);
    expect(log).toEqual(['a1', 'b1', 'a2', 'b1', 'a1', 'a2', 'a1']);
    expect(queue.length).toBe(0);
  });

  it('starts a job at once where nothing waits, and lets it pass to itself', async () => {
    const ticket = createQueue(1).enter('a', never);
    await ticket.turn();
    await ticket.pass();
    ticket.leave();
  });

  it('refuses jobs beyond its limit, and takes others when some have left', async () => {
    const queue = createQueue(2);
    const [first] = [queue.enter('a', never), queue.enter('a', never)];
    expect(() => queue.enter('b', never)).toThrow('2 jobs are waiting already');
    first.leave();
    queue.enter('b', never);
  });

  it('reports how many jobs come before', async () => {
    const queue = createQueue(5);
    const places: Record<string, number[]> = { b: [], c: [] };
    const first = queue.enter('a', never);
    await first.turn();
    const waiting = ['b', 'c'].map((name) => {
      const ticket = queue.enter(name, never, (before) => places[name].push(before));
      return { ticket, turn: ticket.turn() };
    });
    expect(places).toEqual({ b: [0], c: [1] });
    first.leave();
    await waiting[0].turn;
    expect(places).toEqual({ b: [0], c: [1, 0] });
  });

  it('lets a job go that is cancelled while it waits', async () => {
    const queue = createQueue(5);
    const first = queue.enter('a', never);
    await first.turn();
    const controller = new AbortController();
    const second = queue.enter('b', controller.signal);
    const turn = second.turn();
    controller.abort(new Error('no more'));
    await expect(turn).rejects.toThrow('no more');
    second.leave();
    first.leave();
    const third = queue.enter('c', never);
    await third.turn();
    expect(queue.length).toBe(1);
  });
});

describe('startJob', () => {
  const errors: unknown[] = [];
  const limits = { seconds: 60, onError: (error: unknown) => errors.push(error) };
  const jobOf = (compute: Job['compute'], signal = never) => {
    const events: JobEvent[] = [];
    const job: Job = { client: 'a', signal, emit: (event) => events.push(event), command: 'tb-sample', compute };
    return { job, events };
  };

  it('reports the course of a job', async () => {
    const queue = createQueue(2);
    const { job, events } = jobOf(async ({ emit, pass }) => {
      emit({ type: 'progress', known: 1, positions: 2 });
      await pass?.();
    });
    await startJob(queue, job, limits);
    expect(events.map(({ type }) => type)).toEqual(['started', 'progress', 'done']);
    expect(events.at(-1)).toMatchObject({ command: 'tb-sample' });
    expect(queue.length).toBe(0);
  });

  it('reports what is for people, and hides other errors', async () => {
    const ends = async (error: Error) => {
      const { job, events } = jobOf(() => Promise.reject(error));
      await startJob(createQueue(1), job, limits);
      return events.at(-1);
    };
    expect(await ends(new RefusedError('not this'))).toEqual({ type: 'failed', message: 'not this' });
    expect(await ends(new StoppedError('stopping'))).toEqual({ type: 'failed', message: 'stopping' });
    expect(errors).toEqual([]);
    expect(await ends(new Error('/home/x: secret'))).toMatchObject({ message: expect.stringContaining('went wrong') });
    expect(errors).toHaveLength(1);
  });

  it('ends when it is cancelled or takes too long, and leaves the queue', async () => {
    const queue = createQueue(1);
    const untilAborted: Job['compute'] = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const controller = new AbortController();
    const { job, events } = jobOf(untilAborted, controller.signal);
    const run = startJob(queue, job, limits);
    expect(() => startJob(queue, job, limits)).toThrow(RefusedError);
    await settle();
    controller.abort();
    await run;
    expect(events.map(({ type }) => type)).toEqual(['started', 'cancelled']);

    const slow = jobOf(untilAborted);
    await startJob(queue, slow.job, { ...limits, seconds: 0.01 });
    expect(slow.events.at(-1)).toMatchObject({ type: 'failed', message: expect.stringContaining('limit of 0.01 s') });
    expect(queue.length).toBe(0);
  });
});
