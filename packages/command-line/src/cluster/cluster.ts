/** The processes of a job as a launcher describes them. */

/** Where process 0 serves the store through which the processes meet. */
export type Coordinator = {
  host: string;
  /** 1 to 65535. */
  port: number;
};

/** One process of a job, from options or from the environment of a launcher. */
export type Cluster = {
  /** Number of processes, at least 2. */
  processes: number;
  /** This process, from 0. */
  process: number;
  /** Undefined where neither options nor launcher name it. Only programs across processes need it. */
  coordinator?: Coordinator;
  /** This process among those of its host, from 0, and their number, where the launcher states both. */
  local?: { process: number; processes: number };
  /** Name of the job; processes of other jobs are refused. */
  job: string;
  /** How often the job was started before. Processes of an earlier start are refused. */
  incarnation: number;
  /** What a process must know to be let in, if anything. */
  secret?: string;
  /** What described the job, for messages: `SLURM job 4711`. */
  source: string;
};

/** Exit code of a process whose job another process has ended. It may succeed if it is started again. */
export const jobFailed = 75;

/** One line about this process and its job. */
export function describeCluster({ source, processes, process, local, coordinator, secret }: Cluster): string {
  const facts = [`process ${process} of ${processes} (numbered from 0)`];
  if (local && local.processes > 1) facts.push(`number ${local.process} of ${local.processes} on this host`);
  if (coordinator) facts.push(`coordinator ${formatAddress(coordinator)}`);
  if (coordinator && secret === undefined)
    facts.push('no TB_SECRET: any process that reaches the coordinator can join');
  return `${source}: ${facts.join(', ')}`;
}

/** `host:port`, with an IPv6 address in brackets. */
export const formatAddress = ({ host, port }: Coordinator) => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/**
 * Reads `host:port`, `[IPv6]:port`, or a host without a port.
 *
 * @returns undefined for anything else
 */
export function parseAddress(text: string, defaultPort: number): Coordinator | undefined {
  const found = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@]+))(?::(\d{1,5}))?$/i.exec(text);
  if (!found) return undefined;
  const [, address, name, digits] = found;
  const port = digits === undefined ? defaultPort : Number(digits);
  return port >= 1 && port <= 65_535 ? { host: (address ?? name) as string, port } : undefined;
}

/**
 * Chooses the GPU of a process where each process of a host is to drive one.
 *
 * @returns the value that CUDA_VISIBLE_DEVICES must get, or undefined where it stays: the host has one process, or the
 *   launcher has given this process its own GPU already
 * @throws Error when fewer GPUs are visible than processes run on this host
 */
export function gpuOfProcess({ local }: Cluster, visible: string | undefined): string | undefined {
  if (!local || local.processes === 1) return undefined;
  if (visible === undefined || visible === '') return String(local.process);
  const gpus = visible.split(',').map((name) => name.trim());
  if (gpus.length === 1) return undefined;
  const gpu = gpus[local.process];
  if (gpu !== undefined) return gpu;
  throw new Error(
    `CUDA_VISIBLE_DEVICES lists ${gpus.length} GPUs for ${local.processes} processes on this host: start one process per GPU`,
  );
}
