// One queue for everything that computes, with a bound and fair turns. Without modules of Node.
import { RefusedError } from './check-requests.js';

/** A place in the queue. One ticket at a time has the turn. */
export type Ticket = {
  /** Waits for the turn. Rejects with the signal's reason. */
  turn(): Promise<void>;
  /** Gives the turn to the next job, and waits for another turn. */
  pass(): Promise<void>;
  /** Leaves the queue, with or without the turn. */
  leave(): void;
};

/** Lets jobs compute one after another. */
export type Queue = {
  /**
   * Takes a place.
   *
   * @param client - who asks: clients get turns one after another, however many jobs each has
   * @param onPlace - called with the number of jobs before this one, when it changes
   * @throws RefusedError with status 429 when the queue is full
   */
  enter(client: string, signal: AbortSignal, onPlace?: (before: number) => void): Ticket;
  /** Jobs that compute or wait. */
  readonly length: number;
};

type Entry = {
  client: string;
  onPlace?: (before: number) => void;
  place?: number;
  /** Present while it waits. */
  start?: () => void;
};

/** Makes a queue. @param limit - jobs that may be in it, the one that computes included */
export function createQueue(limit: number): Queue {
  const entries = new Set<Entry>();
  /** Clients in the order of their last turns, the newest last. */
  const served: string[] = [];
  let current: Entry | undefined;

  const advance = () => {
    if (!current) {
      current = turnOrder(entries, served)[0];
      if (current) {
        moveToEnd(served, current.client);
        current.start?.();
      }
    }
    for (const [before, entry] of turnOrder(entries, served).entries()) {
      if (entry.place !== before) entry.onPlace?.(before);
      entry.place = before;
    }
  };
  const release = (entry: Entry) => {
    entries.delete(entry);
    if (current === entry) current = undefined;
  };
  const turnOf = (entry: Entry, signal: AbortSignal) => {
    const turn = waitForStart(entry, signal);
    advance();
    return turn;
  };
  return {
    get length() {
      return entries.size;
    },
    enter(client, signal, onPlace) {
      if (entries.size >= limit)
        throw new RefusedError(`${limit} jobs are waiting already; try again when some of them are done`, 429);
      const entry: Entry = { client, onPlace };
      entries.add(entry);
      return {
        turn: () => turnOf(entry, signal),
        pass() {
          release(entry);
          entries.add(entry); // behind the other jobs of its client
          return turnOf(entry, signal);
        },
        leave() {
          release(entry);
          if (![...entries].some((other) => other.client === client)) remove(served, client);
          advance();
        },
      };
    },
  };
}

/** Waiting jobs in the order of their turns: clients that waited longest first, and of each its jobs one after another. */
function turnOrder(entries: Iterable<Entry>, served: readonly string[]): Entry[] {
  const byClient = new Map<string, Entry[]>();
  for (const entry of entries)
    if (entry.start) byClient.set(entry.client, [...(byClient.get(entry.client) ?? []), entry]);
  const clients = [...byClient.keys()].sort((a, b) => served.indexOf(a) - served.indexOf(b));
  const rounds = Math.max(0, ...Array.from(byClient.values(), ({ length }) => length));
  return Array.from({ length: rounds }, (_, round) =>
    clients.flatMap((client) => byClient.get(client)!.slice(round, round + 1)),
  ).flat();
}

/** Waits until `entry.start` is called. Rejects with the signal's reason. */
function waitForStart(entry: Entry, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      entry.start = undefined;
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
    entry.start = () => {
      entry.start = undefined;
      signal.removeEventListener('abort', stop);
      resolve();
    };
  });
}

function remove(list: string[], value: string): void {
  const place = list.indexOf(value);
  if (place >= 0) list.splice(place, 1);
}

function moveToEnd(list: string[], value: string): void {
  remove(list, value);
  list.push(value);
}
