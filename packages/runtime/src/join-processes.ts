import type { ProcessGroup, ProcessStore } from './processes.js';

/** Where the processes of a job meet, and which of them this one is. */
export type JobAddress = {
  /** Where process 0 can be reached, and the port at which it serves the store. */
  host: string;
  port: number;
  /** This process's number, from 0. */
  index: number;
  count: number;
  /**
   * Name of the job, how often it was started before, and a secret. Processes of another job, of an earlier start, or
   * with another secret are refused.
   */
  job?: { name: string; incarnation: number; secret?: string };
  /** How long to try to reach process 0, and how long all processes may take to join; default 300 s. */
  connectTimeoutMilliseconds?: number;
  /** Time between heartbeats, and without one after which a process counts as lost; default 2 s and 25 s. */
  heartbeat?: { everyMs: number; lostMs: number };
  /**
   * Called with one sentence when the job has failed: a process has ended, is not heard from or makes no progress. It should
   * end this process. If the main thread does not get to it within two seconds, because it computes or waits for a process
   * that is gone, the process prints the sentence and is killed. Without this function, the store's requests throw.
   */
  onFailure?: (reason: string) => void;
};

/** The group of a process that has joined a job. */
export type JoinedProcesses = ProcessGroup & {
  readonly store: ProcessStore;
  /**
   * Reports how far this process is, to be called at every step before what the processes do together. A process that
   * reports nothing for ten times as long as its last steps took, and at least 40 s, makes no progress.
   *
   * @param progress - with the step that is next; in a `phase` such as compiling or saving, `limitMs` is the time until
   *   the next report
   */
  report(progress: Progress): void;
  /** Ends the job of all processes, with the reason why this one cannot continue. */
  fail(reason: string): void;
  /** Leaves the job. Process 0 serves the others until they have left, up to a minute. */
  close(): Promise<void>;
};

/** How far a process is. */
export type Progress = { step: number; phase?: string; limitMs?: number };

/** What @tb/xla exports for this package. */
type XlaModule = { openRendezvous(address: JobAddress): Promise<JoinedProcesses> };

/**
 * Connects this process to the others of a job, through @tb/xla. `useBackend('xla', { processes })` then uses the devices
 * of all of them.
 *
 * @throws Error when an option is out of range, the port is taken, process 0 cannot be reached in time, or @tb/xla is
 *   not installed
 */
export async function joinProcesses(address: JobAddress): Promise<JoinedProcesses> {
  const { importOptional } = await import('./backends/import-optional.js');
  return (await importOptional<XlaModule>('@tb/xla')).openRendezvous(address);
}
