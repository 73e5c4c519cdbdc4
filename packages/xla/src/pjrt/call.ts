/**
 * Calls into a PJRT plugin: one function pointer per entry of `PJRT_Api`, struct in and out, errors as exceptions.
 */

import { PjrtError, STATUS_CODES } from './errors.js';
import { type KoffiFunc, koffi } from './koffi.js';
import { type Address, type Block, readText, viewMemory } from './memory.js';
import {
  API_FUNCTIONS_OFFSET,
  API_VERSION_OFFSET,
  type ApiFunction,
  allocateStruct,
  Functions,
  type Inputs,
  readFields,
  STRUCT_SLACK,
  type Struct,
  type Values,
  writeFields,
} from './structs.js';

/** A loaded plugin's function table. */
export type PjrtApi = {
  readonly version: { readonly major: number; readonly minor: number };
  /**
   * Calls with the given fields and returns all fields of the struct afterwards; `nested` are structs that it points to.
   * @throws PjrtError
   */
  call<F extends ApiFunction['fields']>(
    fn: ApiFunction<F>,
    inputs: Inputs<F>,
    nested?: readonly NestedStruct[],
  ): Values<F>;
  /** As `call`, with a struct that the caller made: for calls that must be fast. @throws PjrtError */
  callBlock(fn: ApiFunction, block: Block, nested?: readonly NestedStruct[]): void;
  /** Hands an object back. Takes no new memory: a program with a thousand donated arguments needs a thousand of these. */
  destroy(fn: DestroyFunction, handle: Address): void;
  /** Calls on a thread of libuv's pool. The caller keeps everything that the struct points to alive. */
  callAsync<F extends ApiFunction['fields']>(fn: ApiFunction<F>, inputs: Inputs<F>): Promise<void>;
};

type DestroyFunction = (typeof Functions)[Extract<keyof typeof Functions, `${string}_Destroy`>];

/** A struct behind a struct; `points` is what it points to, kept alive during the call. */
export type NestedStruct = { readonly layout: Struct; readonly block: Block; readonly points?: readonly Block[] };

type NativeFunction = KoffiFunc<(struct: Address) => number | bigint>;

// Pointers travel as integers: every argument and every result of the API is one address.
const functionType = koffi.proto('uint64_t', ['uint64_t']);

/** A plugin's complaint about a struct from an older API: `Unexpected PJRT_X size: expected 120, got 112. …` */
const SIZE_COMPLAINT = /Unexpected (PJRT_\w+) size: expected (\d+), got (\d+)/;

type FunctionTable = (fn: ApiFunction) => NativeFunction;

/** Function pointers of the table, made callable on first use. A shorter table is an older plugin's. */
function functionTable(table: DataView): FunctionTable {
  const callables = new Map<number, NativeFunction>();
  return (fn) => {
    let found = callables.get(fn.index);
    if (!found) {
      const offset = API_FUNCTIONS_OFFSET + 8 * fn.index;
      const address = offset + 8 <= table.byteLength ? table.getBigUint64(offset, true) : 0n;
      if (address === 0n) throw new PjrtError(nameOf(fn), 'UNIMPLEMENTED', 'the plugin does not offer this function');
      found = koffi.decode(address, functionType) as NativeFunction;
      callables.set(fn.index, found);
    }
    return found;
  };
}

const nameOf = (fn: ApiFunction): string => fn.name.replace(/_Args$/, '');

/** Reads and destroys a PJRT_Error. */
function takeError(callable: FunctionTable, fn: ApiFunction, error: Address): PjrtError {
  const read = <F extends ApiFunction['fields']>(reader: ApiFunction<F>, inputs: Inputs<F>): Values<F> => {
    const block = allocateStruct(reader);
    writeFields(block.view, reader, inputs);
    callable(reader)(block.address);
    return readFields(block.view, reader);
  };
  const text = read(Functions.Error_Message, { error });
  const message = readText(text.message, Number(text.message_size));
  const { code } = read(Functions.Error_GetCode, { error });
  read(Functions.Error_Destroy, { error });
  return new PjrtError(nameOf(fn), STATUS_CODES[code] ?? 'UNKNOWN', message);
}

/**
 * @param table - the address that the plugin's `GetPjrtApi` returned
 * @throws Error when the plugin speaks another major version of the API
 */
export function openApi(table: Address): PjrtApi {
  const tableSize = Number(viewMemory(table, 8).getBigUint64(0, true));
  const view = viewMemory(table, tableSize);
  const version = readVersion(view);
  const callable = functionTable(view);
  // What C knows by address only stays reachable from here while C runs. A stack, since callbacks may call again.
  const pinned: unknown[] = [];

  function callBlock(fn: ApiFunction, block: Block, nested: readonly NestedStruct[] = []): void {
    pinned.push(block, nested);
    try {
      callUntilSizesFit(callable, fn, block, nested);
    } finally {
      pinned.length -= 2;
    }
  }

  const destroyBlock = allocateStruct(Functions.Buffer_Destroy); // all such structs are one handle

  return {
    version,
    callBlock,
    destroy(fn, handle) {
      destroyBlock.view.setBigUint64(Functions.Buffer_Destroy.offsets.buffer, handle, true);
      callBlock(fn, destroyBlock);
    },
    call(fn, inputs, nested) {
      const block = allocateStruct(fn);
      writeFields(block.view, fn, inputs);
      pinned.push(inputs);
      try {
        callBlock(fn, block, nested);
      } finally {
        pinned.length -= 1;
      }
      return readFields(block.view, fn);
    },
    callAsync(fn, inputs) {
      const block = allocateStruct(fn);
      writeFields(block.view, fn, inputs);
      return callOnThread(callable, fn, block);
    },
  };
}

function readVersion(table: DataView): PjrtApi['version'] {
  const major = table.getInt32(API_VERSION_OFFSET, true);
  const minor = table.getInt32(API_VERSION_OFFSET + 4, true);
  if (major !== 0) throw new Error(`openApi: the plugin's PJRT API must have major version 0, got ${major}.${minor}`);
  return { major, minor };
}

/** Calls again with longer structs as often as the plugin asks for them, once for each struct. */
function callUntilSizesFit(
  callable: FunctionTable,
  fn: ApiFunction,
  block: Block,
  nested: readonly NestedStruct[],
): void {
  for (let tries = 0; ; tries += 1) {
    const error = BigInt(callable(fn)(block.address));
    if (error === 0n) return;
    const problem = takeError(callable, fn, error);
    if (tries > nested.length || !lengthen(problem, [{ layout: fn, block }, ...nested])) throw problem;
  }
}

function callOnThread(callable: FunctionTable, fn: ApiFunction, block: Block): Promise<void> {
  return new Promise((resolve, reject) => {
    callable(fn).async(block.address, (problem: unknown, error: number | bigint) => {
      // `block` is used here, which keeps it alive until C is done.
      if (problem) reject(problem);
      else if (BigInt(error) !== 0n && block) reject(takeError(callable, fn, BigInt(error)));
      else resolve();
    });
  });
}

const deleterType = koffi.proto('void', ['uint64_t']);

/** Calls a C function of the plugin that frees what the plugin lent. */
export function runDeleter(deleter: Address, subject: Address): void {
  if (deleter !== 0n) koffi.call(deleter, deleterType, subject);
}

/** Follows a complaint about a struct's size, in place: the zeros behind it are there already. */
function lengthen(problem: PjrtError, structs: readonly NestedStruct[]): boolean {
  const [, name, expected] = SIZE_COMPLAINT.exec(problem.message) ?? [];
  const found = structs.find(({ layout }) => layout.name === name);
  const size = Number(expected);
  if (!found || size > found.layout.size + STRUCT_SLACK) return false;
  if (BigInt(size) <= found.block.view.getBigUint64(0, true)) return false; // ours is longer already: nothing that we can fix
  found.block.view.setBigUint64(0, BigInt(size), true);
  return true;
}
