import type { ProcessGroup, ProcessStore } from './processes.js';

/** Where the processes of a job meet, and which of them this one is. */
export type JobAddress = {
  /** Where process 0 can be reached, and the port at which it serves the store. */
  host: string;
  port: number;
  /** This process's number, from 0. */
  index: number;
  count: number;
  /** How long to try to reach process 0; default 300 s. */
  connectTimeoutMilliseconds?: number;
};

/** The group of a process that has joined a job. */
export type JoinedProcesses = ProcessGroup & {
  readonly store: ProcessStore;
  /** Ends the connection. Process 0 closes last: it serves the others. */
  close(): Promise<void>;
};

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
