import { describe, expect, it } from 'vitest';
import { describeCluster, gpuOfProcess, parseAddress } from './cluster.js';
import { detectCluster } from './detect.js';
import { type Environment, firstNode } from './launchers.js';

// Recorded: `srun -n 2` of SLURM 22.05 and `mpirun -n 2` of Open MPI 4.1.4, without what no launcher's description needs.
const slurm: Environment = {
  SLURM_JOB_ID: '4711',
  SLURM_JOB_NODELIST: 'vm',
  SLURM_LOCALID: '1',
  SLURM_NODEID: '0',
  SLURM_NTASKS: '2',
  SLURM_PROCID: '1',
  SLURM_STEP_ID: '0',
  SLURM_STEP_NODELIST: 'vm',
  SLURM_STEP_NUM_NODES: '1',
  SLURM_STEP_NUM_TASKS: '2',
  SLURM_STEP_TASKS_PER_NODE: '2',
  SLURM_TASKS_PER_NODE: '2',
};
const openMpi: Environment = {
  OMPI_COMM_WORLD_LOCAL_RANK: '1',
  OMPI_COMM_WORLD_LOCAL_SIZE: '2',
  OMPI_COMM_WORLD_RANK: '1',
  OMPI_COMM_WORLD_SIZE: '2',
  OMPI_MCA_ess_base_jobid: '1592066049',
  OMPI_MCA_orte_hnp_uri: '1592066048.0;tcp://192.0.2.2:44259;tcp6://[fd00::2]:56207',
  PMIX_NAMESPACE: '1592066049',
  PMIX_RANK: '1',
};
const torchrun: Environment = {
  GROUP_RANK: '1',
  LOCAL_RANK: '2',
  LOCAL_WORLD_SIZE: '4',
  MASTER_ADDR: 'node0.example',
  MASTER_PORT: '29500',
  RANK: '6',
  ROLE_RANK: '6',
  TORCHELASTIC_RESTART_COUNT: '1',
  TORCHELASTIC_RUN_ID: 'none',
  TORCHELASTIC_USE_AGENT_STORE: 'True',
  WORLD_SIZE: '8',
};
const kubernetes: Environment = {
  HOSTNAME: 'train-3',
  JOB_COMPLETION_INDEX: '3',
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  TB_PROCESSES: '4',
};

describe('detectCluster', () => {
  it('reads what srun states', () => {
    expect(detectCluster({}, slurm)).toEqual({
      processes: 2,
      process: 1,
      coordinator: { host: 'vm', port: 61_440 + 615 },
      local: { process: 1, processes: 2 },
      job: 'slurm 4711.0',
      incarnation: 0,
      source: 'SLURM job 4711',
    });
    const large = {
      ...slurm,
      SLURM_STEP_NODELIST: 'gpu[007-010,12],login',
      SLURM_STEP_NUM_TASKS: '17',
      SLURM_STEP_TASKS_PER_NODE: '4(x4),1',
      SLURM_NODEID: '3',
      SLURM_PROCID: '13',
      SLURM_RESTART_COUNT: '2',
      TB_SECRET: 'abc',
    };
    expect(detectCluster({}, large)).toMatchObject({
      processes: 17,
      process: 13,
      coordinator: { host: 'gpu007' },
      local: { process: 1, processes: 4 },
      incarnation: 2,
      secret: 'abc',
    });
  });

  it('leaves the script of a SLURM job alone, which runs once for all tasks', () => {
    const { SLURM_STEP_NODELIST: _, ...script } = slurm;
    expect(detectCluster({}, script)).toBeUndefined();
  });

  it('reads what mpirun states, on one host and on several', () => {
    expect(detectCluster({}, openMpi)).toEqual({
      processes: 2,
      process: 1,
      coordinator: { host: '127.0.0.1', port: 61_440 + ((1592066048 >>> 12) % 4096) },
      local: { process: 1, processes: 2 },
      job: 'mpi 1592066049',
      incarnation: 0,
      source: 'Open MPI',
    });
    const several = { ...openMpi, OMPI_COMM_WORLD_SIZE: '4' };
    expect(detectCluster({}, several)?.coordinator?.host).toBe('192.0.2.2');
    const version5 = { ...several, OMPI_MCA_orte_hnp_uri: undefined, PMIX_NAMESPACE: 'prterun-node-1-12345@1' };
    expect(detectCluster({}, version5)?.coordinator?.host).toBe('node-1');
  });

  it('reads what torchrun states, and leaves it the port of the store that it serves', () => {
    expect(detectCluster({}, torchrun)).toEqual({
      processes: 8,
      process: 6,
      coordinator: { host: 'node0.example', port: 29_501 },
      local: { process: 2, processes: 4 },
      job: 'torchrun none',
      incarnation: 1,
      source: 'RANK and WORLD_SIZE',
    });
    const others = { MASTER_ADDR: '10.0.0.1', MASTER_PORT: '1234', RANK: '0', WORLD_SIZE: '2' };
    expect(detectCluster({}, others)).toMatchObject({ coordinator: { host: '10.0.0.1', port: 1234 }, job: 'torchrun' });
  });

  it('reads what the pod of an indexed Job has', () => {
    expect(detectCluster({}, kubernetes)).toMatchObject({
      processes: 4,
      process: 3,
      coordinator: { host: 'train-0.train', port: 55_527 },
      job: 'kubernetes train',
    });
    const { TB_PROCESSES: _, ...unset } = kubernetes;
    expect(() => detectCluster({}, unset)).toThrow('set TB_PROCESSES to the completions of the Job');
  });

  it('prefers the variables of this program, then those of what was started inside', () => {
    const own = {
      TB_PROCESSES: '3',
      TB_PROCESS: '2',
      TB_COORDINATOR: '[fd00::1]:99',
      TB_JOB: 'x',
      TB_INCARNATION: '4',
    };
    expect(detectCluster({}, { ...slurm, ...own })).toMatchObject({
      processes: 3,
      process: 2,
      coordinator: { host: 'fd00::1', port: 99 },
      job: 'x',
      incarnation: 4,
    });
    expect(detectCluster({}, { ...slurm, ...torchrun })?.process).toBe(6);
    expect(detectCluster({}, { ...slurm, ...openMpi })?.source).toBe('Open MPI');
  });

  it('lets options override any of it', () => {
    expect(detectCluster({ processes: 1 }, slurm)).toBeUndefined();
    expect(detectCluster({ coordinator: 'other' }, slurm)?.coordinator).toEqual({ host: 'other', port: 55_527 });
    const alone = detectCluster({ processes: 2, process: 0, coordinator: 'a:1' }, {});
    expect(alone).toMatchObject({ processes: 2, process: 0, source: 'options', incarnation: 0 });
    expect(detectCluster({}, {})).toBeUndefined();
    expect(detectCluster({}, { ...torchrun, WORLD_SIZE: '1', RANK: '0' })).toBeUndefined();
  });

  it.each<[object, Environment, RegExp]>([
    [{ processes: 2 }, {}, /--processes 2 needs --process, the number of this process from 0 to 1/],
    [{ processes: 2, process: 2 }, {}, /--process must be from 0 to 1, got 2/],
    [{ process: 1 }, {}, /--process must be from 0 to 0, got 1/],
    [{ coordinator: 'a b' }, slurm, /--coordinator must be host:port, got "a b"/],
    [{}, { ...slurm, TB_COORDINATOR: 'a:0' }, /TB_COORDINATOR must be host:port, got "a:0"/],
    [{}, { ...torchrun, RANK: 'x' }, /RANK must be an integer of at least 0, got "x"/],
    [{}, { ...torchrun, WORLD_SIZE: '0' }, /WORLD_SIZE must be an integer of at least 1, got "0"/],
  ])('refuses %o', (values, environment, message) => {
    expect(() => detectCluster(values, environment)).toThrow(message);
  });
});

it('describes the job in one line', () => {
  expect(describeCluster(detectCluster({}, { ...slurm, TB_SECRET: 's' })!)).toBe(
    'SLURM job 4711: process 1 of 2 (numbered from 0), number 1 of 2 on this host, coordinator vm:62055',
  );
  expect(describeCluster(detectCluster({ processes: 2, process: 0, coordinator: '[fd00::1]' }, {})!)).toMatch(
    /no TB_SECRET/,
  );
});

it.each([
  ['a', 'a'],
  ['a,b', 'a'],
  ['gpu[007-010,12],x', 'gpu007'],
  ['r[1-2]n[3,4]-ib,x', 'r1n3-ib'],
  ['x[', 'x'],
  ['', ''],
])('finds the first host of %s', (list, host) => {
  expect(firstNode(list)).toBe(host);
});

it.each(['', 'a b', 'a:0', 'a:65536', 'a:b', '[::1', 'user@a'])('finds no address in %j', (text) => {
  expect(parseAddress(text, 1)).toBeUndefined();
});

describe('gpuOfProcess', () => {
  const cluster = (process: number, processes: number) => ({
    ...detectCluster({}, slurm)!,
    local: { process, processes },
  });

  it('gives each process of a host one GPU, and one process all of them', () => {
    expect(gpuOfProcess(cluster(0, 1), '0,1')).toBeUndefined();
    expect(gpuOfProcess(cluster(1, 2), undefined)).toBe('1');
    expect(gpuOfProcess(cluster(1, 2), '4, GPU-7')).toBe('GPU-7');
    expect(gpuOfProcess(cluster(1, 2), '5')).toBeUndefined(); // the launcher gave each its own
    expect(() => gpuOfProcess(cluster(2, 3), '4,7')).toThrow('lists 2 GPUs for 3 processes on this host');
  });
});
