/**
 * From StableHLO text to a loaded executable, by the compiler or from the cache folder. It runs on any thread.
 */
import type { ProgramCache } from './cache.js';
import { PjrtError } from './errors.js';
import { deserialize, type LoadedProgram, type Loader, serialize } from './loaded-program.js';
import { blockOf } from './memory.js';
import { allocateStruct, Functions, Structs, writeFields } from './structs.js';

/** A program to be made ready. */
export type ProgramSource = {
  /** StableHLO text. */
  module: string;
  /** A `CompileOptionsProto`. */
  options: Uint8Array;
  /** Where the cache keeps it. */
  key: string;
  /** Under which the seconds of compilations are kept. */
  name?: string;
};

/** A program that can run, and the seconds that compiling or loading it took. */
export type TimedProgram = LoadedProgram & { seconds: number };

/**
 * Loads a program from the cache, or compiles it and stores it there.
 *
 * @param onBegin - as in `CompileOptions`
 * @throws PjrtError with the compiler's message
 */
export function loadOrCompile(
  client: Loader,
  cache: ProgramCache | undefined,
  { module, options, key, name }: ProgramSource,
  onBegin?: (isCached: boolean, expectedSeconds?: number) => void,
): TimedProgram {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  if (!cache) {
    onBegin?.(false);
    return { loaded: compileFresh(client, module, options), cached: false, seconds: seconds() };
  }
  if (cache.has(key)) {
    onBegin?.(true);
    const loaded = loadCached(client, cache, key);
    if (loaded !== undefined) return { loaded, cached: true, seconds: seconds() };
  }
  onBegin?.(false, name === undefined ? undefined : cache.secondsOf(name));
  const begin = performance.now();
  const loaded = compileFresh(client, module, options);
  if (name !== undefined) cache.keepSeconds(name, (performance.now() - begin) / 1000);
  storeCached(client, cache, key, loaded);
  return { loaded, cached: false, seconds: seconds() };
}

function compileFresh({ plugin: { api }, address: client }: Loader, module: string, options: Uint8Array): bigint {
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
  const result = api.call(
    Functions.Client_Compile,
    { client, program, compile_options: optionBytes, compile_options_size: optionBytes.length },
    [{ layout: Structs.Program, block: program, points: [code, format] }],
  );
  return result.executable;
}

/** The program from the cache folder, or undefined. One that the plugin rejects is removed, with a note. */
function loadCached(client: Loader, cache: ProgramCache, key: string): bigint | undefined {
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

function storeCached(client: Loader, cache: ProgramCache, key: string, loaded: bigint): void {
  try {
    cache.write(key, serialize(client, loaded));
  } catch (error) {
    if (!(error instanceof PjrtError)) throw error;
    console.warn(`compile cache: the plugin cannot serialize this program (${error.message})`);
  }
}
