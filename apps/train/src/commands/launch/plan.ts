// Which processes are started where, and with which command line. Pure functions.
import { formatAddress } from '@tb/command-line';

/** One process to start. */
export type PlannedProcess = {
  /** Number in the job, from 0. */
  index: number;
  /** Where ssh goes; undefined for this machine. */
  host?: string;
  /** Variables that the process gets besides those of its host. */
  variables: Record<string, string>;
};

/** What one start of a job is made of. */
export type JobPlan = {
  hosts?: readonly string[];
  /** Processes on each host. */
  processes: number;
  /** Where the others reach process 0, if that is not the name of the first host. */
  coordinator?: string;
  port: number;
  /** Name of the job. */
  job: string;
  incarnation: number;
  /** Variables for all. */
  variables: Readonly<Record<string, string>>;
};

/** The processes of a job, host after host, so that process 0 is on the first one. */
export function planProcesses(plan: JobPlan): PlannedProcess[] {
  const { hosts = [undefined], processes, port, job, incarnation } = plan;
  const first = plan.coordinator ?? hosts[0]?.replace(/^.*@/, '') ?? '127.0.0.1';
  return hosts.flatMap((host, hostNumber) =>
    Array.from({ length: processes }, (_, local) => {
      const index = hostNumber * processes + local;
      const variables = {
        ...plan.variables,
        TB_COORDINATOR: formatAddress({ host: first, port }),
        TB_PROCESSES: String(hosts.length * processes),
        TB_PROCESS: String(index),
        TB_LOCAL_PROCESS: String(local),
        TB_LOCAL_PROCESSES: String(processes),
        TB_JOB: job,
        TB_INCARNATION: String(incarnation),
      };
      return { index, ...(host !== undefined && { host }), variables };
    }),
  );
}

/** Variables that other hosts get from this shell: what steers this program, NCCL and XLA, and what is asked for. */
export function passedVariables(
  environment: Readonly<Record<string, string | undefined>>,
  more: readonly string[] = [],
): Record<string, string> {
  const isPassed = (name: string) => /^(TB|NCCL)_/.test(name) || name === 'XLA_FLAGS' || more.includes(name);
  const entries = Object.entries(environment).filter(
    (entry): entry is [string, string] => isPassed(entry[0]) && entry[1] !== undefined && entry[0] !== 'TB_SECRET',
  );
  return Object.fromEntries(entries);
}

/**
 * A shell script that runs a program and obeys its standard input: the first line is the secret, which must not be seen
 * among the arguments of a process; each further line is a signal for the program. At the end of the input, which comes when
 * this machine or the connection to it is gone, the program gets 20 seconds to end.
 */
export function shellScript(
  words: readonly string[],
  variables: Readonly<Record<string, string>>,
  folder: string,
): string {
  const assignments = Object.entries(variables).map(([name, value]) => quote(`${name}=${value}`));
  return [
    'read -r TB_SECRET || exit 1',
    'export TB_SECRET',
    `cd ${quote(folder)} || exit 1`,
    'exec 3<&0',
    `env ${[...assignments, ...words.map(quote)].join(' ')} </dev/null 3<&- &`,
    'child=$!',
    '( while read -r signal <&3; do kill -s "$signal" $child; done',
    '  kill -s TERM $child; sleep 20; kill -s KILL $child ) >/dev/null 2>&1 </dev/null &',
    'watcher=$!',
    'exec 3<&-',
    'wait $child',
    'code=$?',
    'kill $watcher',
    'exit $code',
  ].join('\n');
}

/** A word as a shell reads it. */
export const quote = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
