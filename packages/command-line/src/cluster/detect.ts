// Which process of a job this one is: options first, then the variables of a launcher.
import { grouped, integer, text, UsageError, type Values } from '../options.js';
import { type Cluster, type Coordinator, parseAddress } from './cluster.js';
import { type Description, defaultPort, type Environment, launchers } from './launchers.js';

/** Options of every command that several processes can run together. */
export const clusterOptions = grouped('Several processes', {
  processes: integer('number of processes that share the work', {
    min: 1,
    max: 1_000_000,
    defaultText: 'what the launcher states (SLURM, Open MPI, Kubernetes, torchrun), else 1',
  }),
  process: integer('number of this process, from 0', { defaultText: 'what the launcher states' }),
  coordinator: text('where process 0 can be reached by the others', {
    placeholder: 'host:port',
    defaultText: 'what the launcher states',
  }),
});

/** Options that decide which process of a job this one is. */
export type ClusterValues = Values<typeof clusterOptions>;

/**
 * Finds out which process of a job this one is.
 *
 * @param environment - of the process
 * @returns undefined for a process that works alone
 * @throws UsageError when options or variables contradict each other
 */
export function detectCluster(values: ClusterValues, environment: Environment): Cluster | undefined {
  if (values.processes === 1 && values.process === undefined) return undefined; // whatever a launcher states
  const launched = describedBy(environment);
  const processes = values.processes ?? launched?.processes ?? 1;
  const process = values.process ?? launched?.process;
  if (process === undefined) {
    if (processes === 1) return undefined;
    throw new UsageError(
      `--processes ${processes} needs --process, the number of this process from 0 to ${processes - 1}; tb-train launch starts all of them`,
    );
  }
  if (process >= processes) {
    throw new UsageError(
      `--process must be from 0 to ${processes - 1}, got ${process}: there are ${processes} processes`,
    );
  }
  if (processes === 1) return undefined;
  const { TB_SECRET: secret, TB_JOB: job, TB_INCARNATION: incarnation } = environment;
  return {
    job: 'tb',
    incarnation: /^\d+$/.test(incarnation ?? '') ? Number(incarnation) : 0,
    source: 'options',
    ...launched,
    processes,
    process,
    coordinator:
      addressOf('--coordinator', values.coordinator) ??
      addressOf('TB_COORDINATOR', environment.TB_COORDINATOR) ??
      launched?.coordinator,
    ...(job !== undefined && { job }),
    ...(secret && { secret }),
  };
}

function describedBy(environment: Environment): Description | undefined {
  for (const launcher of launchers) {
    const found = launcher(environment);
    if (found) return found;
  }
  return undefined;
}

function addressOf(name: string, value: string | undefined): Coordinator | undefined {
  if (value === undefined) return undefined;
  const address = parseAddress(value, defaultPort);
  if (address) return address;
  throw new UsageError(`${name} must be host:port, got ${JSON.stringify(value)}`);
}
