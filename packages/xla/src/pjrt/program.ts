/** Compiled programs: what the compiler is given, what it returns, and how it is run. */
import { oneProcess, replicasOfProcess } from '@tb/runtime';
import type { ArraySpec, CompileOptions, DeviceBuffer, Executable, ProgramMemory } from '../executor.js';
import { type BufferPool, liveAddress, type PjrtBuffer } from './buffers.js';
import { cacheKey, type ProgramCache } from './cache.js';
import type { Client } from './client.js';
import { encodeCompileOptions } from './compile-options.js';
import { PjrtError } from './errors.js';
import { loadOrCompile, type ProgramSource, type TimedProgram } from './load-or-compile.js';
import { withExecutable } from './loaded-program.js';
import { addressOf, type Block } from './memory.js';
import { shareProgram } from './share-program.js';
import { allocateStruct, Functions, Structs, writeFields } from './structs.js';

export type ProgramRequest = CompileOptions & { inputs: ArraySpec[]; outputs: ArraySpec[] };

/** Argument blocks of one program, made once: a call then writes only the addresses of its inputs. */
type LaunchBlocks = {
  execute: Block;
  options: Block;
  /** Per replica, the addresses of its arguments and (written by PJRT) of its results. */
  inputs: BigUint64Array[];
  outputs: BigUint64Array[];
  /** The two lists of lists, known to C by address. */
  lists: BigUint64Array[];
};

export type PjrtProgram = Executable & {
  address: bigint;
  readonly blocks: LaunchBlocks;
  /** How many of the replicas this process runs. */
  readonly ownReplicas: number;
};

function launchBlocks(address: bigint, replicas: number, inputCount: number, outputCount: number): LaunchBlocks {
  const rows = (length: number) => Array.from({ length: replicas }, () => new BigUint64Array(Math.max(length, 1)));
  const inputs = rows(inputCount);
  const outputs = rows(outputCount);
  const lists = [inputs, outputs].map((list) => BigUint64Array.from(list.map((row) => addressOf(row))));
  const options = allocateStruct(Structs.ExecuteOptions);
  const execute = allocateStruct(Functions.LoadedExecutable_Execute);
  writeFields(execute.view, Functions.LoadedExecutable_Execute, {
    executable: address,
    options,
    argument_lists: addressOf(lists[0]!),
    num_devices: replicas,
    num_args: inputCount,
    output_lists: addressOf(lists[1]!),
  });
  return { execute, options, inputs, outputs, lists };
}

/** Everything that the machine code depends on, besides the module and its options. */
function compilerParts({ plugin, platformVersion, devices }: Client): string[] {
  return [
    platformVersion,
    JSON.stringify(plugin.attributes),
    `${plugin.api.version.major}.${plugin.api.version.minor}`,
    devices[0]!.kind,
    process.env.XLA_FLAGS ?? '',
  ];
}

/** See `Executor`. */
export function compilerIdentity(client: Client): string {
  return JSON.stringify(compilerParts(client));
}

function programKey(client: Client, module: string, options: Uint8Array): string {
  return cacheKey([module, Buffer.from(options).toString('hex'), ...compilerParts(client)]);
}

function readProgramMemory(client: Client, loaded: bigint): ProgramMemory | undefined {
  try {
    return withExecutable(client, loaded, (executable) => {
      const stats = client.plugin.api.call(Functions.Executable_GetCompiledMemoryStats, { executable });
      return {
        argumentBytes: Number(stats.argument_size_in_bytes),
        outputBytes: Number(stats.output_size_in_bytes),
        aliasBytes: Number(stats.alias_size_in_bytes),
        temporaryBytes: Number(stats.temp_size_in_bytes),
        generatedCodeBytes: Number(stats.generated_code_size_in_bytes),
      };
    });
  } catch (error) {
    if (error instanceof PjrtError && error.code === 'UNIMPLEMENTED') return undefined;
    throw error;
  }
}

/**
 * The devices that run a program, one for each replica: one of this process, or equally many of every process, process
 * after process. All processes must number them alike.
 *
 * @throws Error when there are not so many, or the processes cannot have equally many
 */
function placeReplicas({ devices, deviceIds, processes }: Client, replicas: number) {
  const ownReplicas = replicasOfProcess('compile', processes ?? oneProcess, replicas);
  if (ownReplicas > devices.length) {
    const available = deviceIds.flat().length;
    throw new Error(`compile: replicas must be at most the number of devices (${available}), got ${replicas}`);
  }
  if (replicas === 1) return { deviceIds: [devices[0]!.id], ownReplicas };
  return { deviceIds: deviceIds.flatMap((ids) => ids.slice(0, ownReplicas)), ownReplicas };
}

/**
 * In a group, XLA would divide the search for the fastest kernels among the processes, and wait up to a day for one that
 * compiles something else. Here each process searches for itself, or takes the program of process 0.
 */
function flagsOf({ platform, processes }: Client, { flags }: ProgramRequest): ProgramRequest['flags'] {
  return processes && platform === 'cuda' ? { xla_gpu_shard_autotuning: false, ...flags } : flags;
}

/**
 * What the compiler is given.
 *
 * @throws Error when there are not so many devices
 */
export function programSource(client: Client, module: string, request: ProgramRequest): ProgramSource {
  const { deviceIds } = placeReplicas(client, request.replicas ?? 1);
  const options = encodeCompileOptions({ ...request, flags: flagsOf(client, request) }, deviceIds);
  return { module, options, key: programKey(client, module, options), name: request.name };
}

/**
 * Compiles a program on this thread, or loads it; together with the other processes, if they run it too.
 *
 * @throws PjrtError with the compiler's message
 */
export function compileProgram(
  client: Client,
  cache: ProgramCache | undefined,
  module: string,
  request: ProgramRequest,
): PjrtProgram {
  const { replicas = 1, onBegin } = request;
  const { ownReplicas } = placeReplicas(client, replicas);
  const source = programSource(client, module, request);
  const start = performance.now();
  const load = () => loadOrCompile(client, cache, source, onBegin);
  const program = ownReplicas < replicas ? shareProgram(client, source.key, request, load) : load();
  return programOf(client, { ...program, seconds: (performance.now() - start) / 1000 }, request);
}

/**
 * The program of a loaded executable, which it owns.
 *
 * @throws Error when the module has another number of results than `outputs`
 */
export function programOf(
  client: Client,
  { loaded, cached, seconds }: TimedProgram,
  { replicas = 1, inputs, outputs }: ProgramRequest,
): PjrtProgram {
  const { ownReplicas } = placeReplicas(client, replicas);
  const { api } = client.plugin;
  const destroy = (executable: bigint) => api.destroy(Functions.LoadedExecutable_Destroy, executable);
  const results = withExecutable(client, loaded, (executable) =>
    Number(api.call(Functions.Executable_NumOutputs, { executable }).num_outputs),
  );
  if (results !== outputs.length) {
    destroy(loaded);
    throw new Error(`compile: outputs must describe the module's ${results} results, got ${outputs.length}`);
  }
  return {
    address: loaded,
    replicas,
    ownReplicas,
    inputs,
    outputs,
    cached,
    compileSeconds: seconds,
    blocks: launchBlocks(loaded, ownReplicas, inputs.length, outputs.length),
    memory() {
      return readProgramMemory(client, this.address);
    },
    dispose() {
      if (this.address !== 0n) destroy(this.address);
      this.address = 0n;
    },
  };
}

function writeInputs(program: PjrtProgram, inputs: readonly (readonly DeviceBuffer[])[]): void {
  if (program.address === 0n) throw new Error('execute: the executable was disposed');
  if (inputs.length !== program.ownReplicas) {
    throw new Error(`execute: inputs must have one list per replica (${program.ownReplicas}), got ${inputs.length}`);
  }
  inputs.forEach((list, replica) => {
    if (list.length !== program.inputs.length) {
      throw new Error(`execute: inputs must be ${program.inputs.length} buffers a replica, got ${list.length}`);
    }
    const row = program.blocks.inputs[replica]!;
    for (let index = 0; index < list.length; index += 1) row[index] = liveAddress('execute', list[index]!);
  });
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** An out-of-memory error with what explains it. */
function explain(error: unknown, client: Client, program: PjrtProgram): unknown {
  if (!(error instanceof PjrtError) || error.code !== 'RESOURCE_EXHAUSTED') return error;
  const needs = program.memory();
  const has = client.memory(0);
  const detail = needs
    ? ` The program needs ${gibibytes(needs.temporaryBytes)} of scratch memory and ${gibibytes(needs.outputBytes - needs.aliasBytes)} for new results;`
    : '';
  error.message += `${detail} ${gibibytes(has.bytesInUse)} of ${gibibytes(has.bytesLimit)} are in use.`;
  return error;
}

/** Enqueues the program; see `Executor.execute`. */
export function executeProgram(
  client: Client,
  pool: BufferPool,
  program: PjrtProgram,
  inputs: readonly (readonly DeviceBuffer[])[],
  donated: readonly number[],
): PjrtBuffer[][] {
  writeInputs(program, inputs);
  const { execute, options, outputs } = program.blocks;
  try {
    client.plugin.api.callBlock(Functions.LoadedExecutable_Execute, execute, [
      { layout: Structs.ExecuteOptions, block: options },
    ]);
  } catch (error) {
    throw explain(error, client, program);
  }
  // Donated buffers are empty now; their handles still are ours to destroy.
  for (const list of inputs) for (const index of donated) pool.free(list[index]!);
  return outputs.map((row, replica) => program.outputs.map((spec, index) => pool.adopt(row[index]!, spec, replica)));
}
