/** Programs that a client has loaded, as bytes and back. */
import { type PjrtApi, runDeleter } from './call.js';
import { blockOf, readBytes } from './memory.js';
import { Functions } from './structs.js';

/** What loads programs: of a client its address, and of its plugin the functions. It can be used on any thread. */
export type Loader = { readonly plugin: { readonly api: PjrtApi }; readonly address: bigint };

/** A program that can run. */
export type LoadedProgram = {
  /** Address of PJRT's loaded executable. */
  loaded: bigint;
  /** Whether it came from the cache folder, or ready from process 0. */
  cached: boolean;
};

/** Runs `use` on the executable behind a loaded one. */
export function withExecutable<R>({ plugin: { api } }: Loader, loaded: bigint, use: (executable: bigint) => R): R {
  const { executable } = api.call(Functions.LoadedExecutable_GetExecutable, { loaded_executable: loaded });
  try {
    return use(executable);
  } finally {
    api.destroy(Functions.Executable_Destroy, executable);
  }
}

export function serialize(client: Loader, loaded: bigint): Uint8Array {
  return withExecutable(client, loaded, (executable) => {
    const result = client.plugin.api.call(Functions.Executable_Serialize, { executable });
    const bytes = readBytes(result.serialized_bytes, Number(result.serialized_bytes_size));
    runDeleter(result.serialized_executable_deleter, result.serialized_executable);
    return bytes;
  });
}

export function deserialize(client: Loader, program: Uint8Array): bigint {
  const bytes = blockOf(program);
  const result = client.plugin.api.call(Functions.Executable_DeserializeAndLoad, {
    client: client.address,
    serialized_executable: bytes,
    serialized_executable_size: bytes.length,
  });
  return result.loaded_executable;
}
