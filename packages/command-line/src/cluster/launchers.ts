// What each launcher writes into the environment of the processes that it starts. Pure functions: tests give them recorded
// environments. A launcher's description may lack the coordinator, which options can add.
import { createHash } from 'node:crypto';
import { UsageError } from '../options.js';
import type { Cluster } from './cluster.js';

/** The variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a launcher states; without a process number it describes a job that this process is not numbered in. */
export type Description = Omit<Cluster, 'process' | 'processes' | 'secret'> & { processes?: number; process?: number };

/** Port of the coordinator where nothing else decides it. */
export const defaultPort = 55_527;

/** Ports for jobs that share a host, by a number of the job: outside of the range that clients get. */
const portOf = (job: number) => (job % 4096) + 61_440;

/** The variables that `tb-train launch` sets, and that a job file can set. They come before every launcher. */
function fromOwnVariables(env: Environment): Description | undefined {
  if (env.TB_PROCESSES === undefined || env.TB_PROCESS === undefined) return undefined;
  return {
    processes: count(env, 'TB_PROCESSES', 1),
    process: count(env, 'TB_PROCESS'),
    coordinator: undefined, // TB_COORDINATOR overrides that of every launcher
    local: localOf(env, 'TB_LOCAL_PROCESS', 'TB_LOCAL_PROCESSES'),
    job: env.TB_JOB ?? 'tb',
    incarnation: count(env, 'TB_INCARNATION', 0, 0),
    source: 'TB_PROCESS',
  };
}

/** torchrun and everything that sets the same variables. Under torchrun's own store the port is taken, and the next one free. */
function fromTorchrun(env: Environment): Description | undefined {
  if (env.RANK === undefined || env.WORLD_SIZE === undefined) return undefined;
  const isTaken = env.TORCHELASTIC_USE_AGENT_STORE === 'True';
  const port = env.MASTER_PORT === undefined ? defaultPort : count(env, 'MASTER_PORT', 1) + (isTaken ? 1 : 0);
  return {
    processes: count(env, 'WORLD_SIZE', 1),
    process: count(env, 'RANK'),
    coordinator: env.MASTER_ADDR === undefined ? undefined : { host: env.MASTER_ADDR, port },
    local: localOf(env, 'LOCAL_RANK', 'LOCAL_WORLD_SIZE'),
    job: `torchrun ${env.TORCHELASTIC_RUN_ID ?? ''}`.trim(),
    incarnation: count(env, 'TORCHELASTIC_RESTART_COUNT', 0, 0),
    source: 'RANK and WORLD_SIZE',
  };
}

/** The pods of an indexed Job. Its environment does not state how many there are: TB_PROCESSES does. */
function fromKubernetes(env: Environment): Description | undefined {
  if (env.KUBERNETES_SERVICE_HOST === undefined || env.JOB_COMPLETION_INDEX === undefined) return undefined;
  if (env.TB_PROCESSES === undefined) {
    throw new UsageError(
      'this is a pod of an indexed Job, whose environment does not state the number of pods: set TB_PROCESSES to the completions of the Job',
    );
  }
  const process = count(env, 'JOB_COMPLETION_INDEX');
  const pod = env.HOSTNAME ?? '';
  const job = pod.endsWith(`-${process}`) ? pod.slice(0, -`-${process}`.length) : undefined;
  // The headless service that gives the pods their names is expected to have the name of the Job.
  const host = job === undefined ? undefined : `${job}-0.${job}`;
  return {
    processes: count(env, 'TB_PROCESSES', 1),
    process,
    coordinator: host === undefined ? undefined : { host, port: defaultPort },
    job: `kubernetes ${job ?? ''}`.trim(),
    incarnation: count(env, 'TB_INCARNATION', 0, 0),
    source: `Kubernetes Job ${job ?? ''}`.trim(),
  };
}

/** Open MPI. Version 4 states the address of mpirun's host, version 5 its name; process 0 is expected there. */
function fromOpenMpi(env: Environment): Description | undefined {
  if (env.OMPI_COMM_WORLD_SIZE === undefined || env.OMPI_COMM_WORLD_RANK === undefined) return undefined;
  const processes = count(env, 'OMPI_COMM_WORLD_SIZE', 1);
  const local = localOf(env, 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_LOCAL_SIZE');
  const uri = /^(\d+)\.\d+;tcp:\/\/([\d.]+)/.exec(env.OMPI_MCA_orte_hnp_uri ?? '');
  const name = /^prterun-(.+)-(\d+)@/.exec(env.PMIX_NAMESPACE ?? '');
  const namespace = env.PMIX_NAMESPACE ?? uri?.[1] ?? '';
  const port = uri ? portOf(Number(uri[1]) >>> 12) : portOf(numberOf(namespace));
  const host = local?.processes === processes ? '127.0.0.1' : (uri?.[2] ?? name?.[1]);
  return {
    processes,
    process: count(env, 'OMPI_COMM_WORLD_RANK'),
    coordinator: host === undefined ? undefined : { host, port },
    local,
    job: `mpi ${namespace}`,
    incarnation: 0,
    source: 'Open MPI',
  };
}

/** A task of srun. The batch script itself runs once, whatever the number of tasks, and has no SLURM_STEP_NODELIST. */
function fromSlurm(env: Environment): Description | undefined {
  const { SLURM_JOB_ID: job, SLURM_STEP_NODELIST: nodes } = env;
  if (job === undefined || nodes === undefined || env.SLURM_PROCID === undefined) return undefined;
  if (env.SLURM_STEP_NUM_TASKS === undefined && env.SLURM_NTASKS === undefined) return undefined;
  return {
    processes: count(env, env.SLURM_STEP_NUM_TASKS === undefined ? 'SLURM_NTASKS' : 'SLURM_STEP_NUM_TASKS', 1),
    process: count(env, 'SLURM_PROCID'),
    coordinator: { host: firstNode(nodes), port: portOf(count(env, 'SLURM_JOB_ID')) },
    local: slurmLocal(env),
    job: `slurm ${job}.${env.SLURM_STEP_ID ?? 0}`,
    incarnation: count(env, 'SLURM_RESTART_COUNT', 0, 0),
    source: `SLURM job ${job}`,
  };
}

/** In the order in which they are asked: what is started inside of something else comes first. */
export const launchers = [fromOwnVariables, fromTorchrun, fromKubernetes, fromOpenMpi, fromSlurm];

/** A whole number of a variable. @throws UsageError when it is another text */
function count(env: Environment, name: string, least = 0, fallback?: number): number {
  const text = env[name];
  if (text === undefined && fallback !== undefined) return fallback;
  const value = /^\d+$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`${name} must be an integer of at least ${least}, got ${JSON.stringify(text)}`);
}

function localOf(env: Environment, index: string, size: string): Cluster['local'] {
  if (env[index] === undefined || env[size] === undefined) return undefined;
  return { process: count(env, index), processes: count(env, size, 1) };
}

/** SLURM lists the tasks of each node as `4(x2),1`: nodes 0 and 1 have four, node 2 has one. */
function slurmLocal(env: Environment): Cluster['local'] {
  const { SLURM_STEP_TASKS_PER_NODE: tasks, SLURM_NODEID: node, SLURM_LOCALID: local } = env;
  if (tasks === undefined || node === undefined || local === undefined) return undefined;
  const perNode = tasks.split(',').flatMap((entry) => {
    const found = /^(\d+)(?:\(x(\d+)\))?$/.exec(entry.trim());
    return found ? new Array<number>(Math.min(Number(found[2] ?? 1), 1e6)).fill(Number(found[1])) : [];
  });
  const processes = perNode[count(env, 'SLURM_NODEID')];
  return processes === undefined ? undefined : { process: count(env, 'SLURM_LOCALID'), processes };
}

/** The first host of a list such as `gpu[007-010,12]-ib,login`. */
export function firstNode(list: string): string {
  let name = '';
  for (let place = 0; place < list.length && list[place] !== ','; place++) {
    if (list[place] !== '[') {
      name += list[place];
      continue;
    }
    const end = list.indexOf(']', place);
    if (end === -1) return name;
    name += /^[^-,\]]*/.exec(list.slice(place + 1, end))?.[0] ?? '';
    place = end;
  }
  return name;
}

/** A number that all processes compute from one text. */
const numberOf = (text: string) => createHash('sha256').update(text).digest().readUInt32BE();
