/** Compiled programs: compile or load from the cache folder, and run. */
import type { ArraySpec, CompileOptions, DeviceBuffer, Executable, ProgramMemory } from '../executor.js';
import { type BufferPool, liveAddress, type PjrtBuffer } from './buffers.js';
import { cacheKey, type ProgramCache } from './cache.js';
import { runDeleter } from './call.js';
import type { Client } from './client.js';
import { encodeCompileOptions } from './compile-options.js';
import { PjrtError } from './errors.js';
import { addressOf, type Block, blockOf, readBytes } from './memory.js';
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

export type PjrtProgram = Executable & { address: bigint; readonly blocks: LaunchBlocks };

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

function compileFresh(client: Client, module: string, options: Uint8Array): bigint {
  const code = blockOf(module);
  const format = blockOf('mlir');
  const optionBytes = blockOf(options);
  const program = allocateStruct(Structs.Program);
  writeFields(program.view, Structs.Program, {
    code,
    code_size: code.length,
    format,
    format_size: format.length,
  });
  const result = client.plugin.api.call(
    Functions.Client_Compile,
    { client: client.address, program, compile_options: optionBytes, compile_options_size: optionBytes.length },
    [{ layout: Structs.Program, block: program, points: [code, format] }],
  );
  return result.executable;
}

/** Runs `use` on the executable behind a loaded one. */
function withExecutable<R>({ plugin: { api } }: Client, loaded: bigint, use: (executable: bigint) => R): R {
  const { executable } = api.call(Functions.LoadedExecutable_GetExecutable, { loaded_executable: loaded });
  try {
    return use(executable);
  } finally {
    api.destroy(Functions.Executable_Destroy, executable);
  }
}

function serialize(client: Client, loaded: bigint): Uint8Array {
  return withExecutable(client, loaded, (executable) => {
    const result = client.plugin.api.call(Functions.Executable_Serialize, { executable });
    const bytes = readBytes(result.serialized_bytes, Number(result.serialized_bytes_size));
    runDeleter(result.serialized_executable_deleter, result.serialized_executable);
    return bytes;
  });
}

function deserialize(client: Client, program: Uint8Array): bigint {
  const bytes = blockOf(program);
  const result = client.plugin.api.call(Functions.Executable_DeserializeAndLoad, {
    client: client.address,
    serialized_executable: bytes,
    serialized_executable_size: bytes.length,
  });
  return result.loaded_executable;
}

/** The program from the cache folder, or undefined. One that the plugin rejects is removed, with a note. */
function loadCached(client: Client, cache: ProgramCache, key: string): bigint | undefined {
  const bytes = cache.read(key);
  if (!bytes) return undefined;
  try {
    return deserialize(client, bytes);
  } catch (error) {
    console.warn(`compile cache: a program was rejected and is compiled again (${(error as Error).message})`);
    cache.remove(key);
    return undefined;
  }
}

function storeCached(client: Client, cache: ProgramCache, key: string, loaded: bigint): void {
  try {
    cache.write(key, serialize(client, loaded));
  } catch (error) {
    if (!(error instanceof PjrtError)) throw error;
    console.warn(`compile cache: the plugin cannot serialize this program (${error.message})`);
  }
}

/** Everything that the machine code depends on. */
function programKey(client: Client, module: string, options: Uint8Array): string {
  const { plugin, platformVersion, devices } = client;
  return cacheKey([
    module,
    Buffer.from(options).toString('hex'),
    platformVersion,
    JSON.stringify(plugin.attributes),
    `${plugin.api.version.major}.${plugin.api.version.minor}`,
    devices[0]!.kind,
    process.env.XLA_FLAGS ?? '',
  ]);
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

/** @returns the address of the loaded executable, and whether it came from the cache, where what is new is stored */
function loadOrCompile(
  client: Client,
  cache: ProgramCache | undefined,
  module: string,
  options: Uint8Array,
  { name, onBegin }: ProgramRequest,
) {
  if (!cache) {
    onBegin?.(false);
    return { loaded: compileFresh(client, module, options), cached: false };
  }
  const key = programKey(client, module, options);
  if (cache.has(key)) {
    onBegin?.(true);
    const found = loadCached(client, cache, key);
    if (found !== undefined) return { loaded: found, cached: true };
  }
  onBegin?.(false, name === undefined ? undefined : cache.secondsOf(name));
  const start = performance.now();
  const loaded = compileFresh(client, module, options);
  if (name !== undefined) cache.keepSeconds(name, (performance.now() - start) / 1000);
  storeCached(client, cache, key, loaded);
  return { loaded, cached: false };
}

/** @throws PjrtError with the compiler's message; Error when the module has another number of results than `outputs` */
export function compileProgram(
  client: Client,
  cache: ProgramCache | undefined,
  module: string,
  request: ProgramRequest,
): PjrtProgram {
  const { replicas = 1, inputs, outputs } = request;
  if (replicas > client.devices.length) {
    throw new Error(
      `compile: replicas must be at most the number of devices (${client.devices.length}), got ${replicas}`,
    );
  }
  const start = performance.now();
  const options = encodeCompileOptions(
    request,
    client.devices.slice(0, replicas).map(({ id }) => id),
  );
  const { loaded, cached } = loadOrCompile(client, cache, module, options, request);
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
    inputs,
    outputs,
    cached,
    compileSeconds: (performance.now() - start) / 1000,
    blocks: launchBlocks(loaded, replicas, inputs.length, outputs.length),
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
  if (inputs.length !== program.replicas) {
    throw new Error(`execute: inputs must have one list per replica (${program.replicas}), got ${inputs.length}`);
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
