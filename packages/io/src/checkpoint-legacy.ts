import type { ByteSource } from './byte-source.js';
import { type CheckpointStructure, LARGEST_PICKLE, type StructureOptions } from './checkpoint-archive.js';
import { toCheckpointValue } from './checkpoint-values.js';
import { FileFormatError } from './file-format-error.js';
import { PickleBudget } from './pickle-budget.js';
import {
  CheckpointTensor,
  describe,
  PickleEndsEarly,
  PickleFault,
  type PickleValue,
  Refusal,
} from './pickle-values.js';
import { quoted } from './printable.js';
import { readStoredTensor, type StorageBytes, unreadableTensor, withPickleFaults } from './stored-tensor.js';
import { createTorchHost, type TorchStorage } from './torch-globals.js';
import { type PickleHost, unpickle } from './unpickle.js';

/**
 * The format of `torch.save` before PyTorch 1.6, still written with `_use_new_zipfile_serialization=False`. Five pickles
 * follow one another: a magic number, the version of the format, facts about the machine, the value itself, and the
 * keys of the storages in the order in which they follow. Each storage is its number of elements (int64) and its bytes.
 */

/** `torch.serialization.MAGIC_NUMBER`. */
const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;

/** `torch.serialization.PROTOCOL_VERSION`. */
const FORMAT_VERSION = 1001;

/** The pickles do not state their length: this many bytes are tried first, then more and more. */
const FIRST_WINDOW = 2 ** 16;

/** Reads the structure of a checkpoint in the format before PyTorch 1.6, and finds its storages. */
export async function readLegacyCheckpoint(
  source: ByteSource,
  options: StructureOptions,
): Promise<CheckpointStructure> {
  const most = Math.min(source.size, LARGEST_PICKLE);
  for (let length = Math.min(most, FIRST_WINDOW); ; length = Math.min(most, 4 * length)) {
    const bytes = await source.read(0, length);
    try {
      return await readWindow(source, bytes, options);
    } catch (error) {
      if (error instanceof PickleEndsEarly && length < most) continue;
      return withPickleFaults(source.name, 0, () => {
        throw error;
      });
    }
  }
}

/** @throws PickleEndsEarly when the pickles do not end in `bytes`, the beginning of the file */
async function readWindow(
  source: ByteSource,
  bytes: Uint8Array,
  { memory, unknownCalls }: StructureOptions,
): Promise<CheckpointStructure> {
  const storages = new Map<string, TorchStorage>();
  const places = new Map<string, number>(); // where in the file each storage's bytes begin
  const budget = new PickleBudget(source.size);
  const host = createTorchHost({
    unknownCalls,
    budget,
    openStorage: (storage) => declareStorage(storages, storage),
    makeTensor: (stored) =>
      new CheckpointTensor(stored.dtype, stored.layout.shape, () =>
        readStoredTensor(stored, storedAt(source, places.get(stored.storage.key)!), memory),
      ),
    makeUnreadable: (dtype, shape, reason) => unreadableTensor(source.name, dtype, shape, reason),
  });
  const begin = checkHeader(bytes, budget);
  const { value, end } = unpickle(bytes, host, { begin, budget });
  const keys = unpickle(bytes, plainHost, { begin: end, budget });
  await placeStorages(source, keys, storages, places);
  return { value: toCheckpointValue(value), hasChecksums: false };
}

/** The pickles around the value are made of plain data. */
const plainHost: PickleHost = {
  persistentLoad: () => {
    throw new Refusal('reference to a storage where none belongs');
  },
  call: (target) => {
    throw new Refusal(`call of ${describe(target)} where none belongs`);
  },
  setState: () => {
    throw new Refusal('state of an object where none belongs');
  },
};

/**
 * Checks the three pickles at the file's beginning.
 *
 * @returns where the value's pickle begins
 */
function checkHeader(bytes: Uint8Array, budget: PickleBudget): number {
  const magic = unpickle(bytes, plainHost, { budget });
  if (magic.value !== MAGIC_NUMBER) {
    throw new PickleFault(0, 'is a pickle, but not a PyTorch checkpoint: the magic number of torch.save is missing');
  }
  const version = unpickle(bytes, plainHost, { begin: magic.end, budget });
  if (version.value !== FORMAT_VERSION) {
    throw new PickleFault(magic.end, `version ${describe(version.value)} of the format is unsupported`);
  }
  const machine = unpickle(bytes, plainHost, { begin: version.end, budget });
  if (!(machine.value instanceof Map) || machine.value.get('little_endian') !== true) {
    throw new PickleFault(version.end, 'was written by a big-endian machine, which is unsupported', true);
  }
  return machine.end;
}

function declareStorage(storages: Map<string, TorchStorage>, storage: TorchStorage): void {
  const other = storages.get(storage.key);
  if (other !== undefined && (other.count !== storage.count || other.className !== storage.className)) {
    throw new Refusal(`storage ${quoted(storage.key)} is described in two ways`);
  }
  if (storage.byteLength === undefined) {
    const reason = `storage ${quoted(storage.className)} has elements of an unknown size: save it with a newer PyTorch`;
    throw new Refusal(reason, true);
  }
  storages.set(storage.key, storage);
}

/** Walks over the storages that follow the pickles, in the order of their keys, and notes where each begins. */
async function placeStorages(
  source: ByteSource,
  { value: keys, end }: { value: PickleValue; end: number },
  storages: ReadonlyMap<string, TorchStorage>,
  places: Map<string, number>,
): Promise<void> {
  const fail = (place: number, reason: string) => new FileFormatError(source.name, place, reason);
  if (!Array.isArray(keys)) throw fail(end, 'list of storages is missing');
  let place = end;
  for (const key of keys) {
    const storage = storages.get(key as string);
    if (storage === undefined || places.has(storage.key)) {
      throw fail(place, `storage ${quote(key)} belongs to no tensor, or comes twice`);
    }
    const count = new DataView((await source.read(place, 8)).buffer).getBigInt64(0, true);
    if (count !== BigInt(storage.count)) {
      throw fail(place, `storage ${quote(key)} has ${count} elements instead of ${storage.count}`);
    }
    places.set(storage.key, place + 8);
    place += 8 + storage.byteLength!;
    if (place > source.size) throw fail(place, `file ends inside storage ${quote(key)}`);
  }
  const missing = [...storages.keys()].find((key) => !places.has(key));
  if (missing !== undefined) throw fail(end, `storage ${quote(missing)} is not in the file`);
}

function quote(key: PickleValue): string {
  return typeof key === 'string' ? quoted(key) : 'without a name';
}

function storedAt(source: ByteSource, place: number): StorageBytes {
  return {
    file: source.name,
    place,
    cost: (length) => length,
    read: (begin, length) => source.read(place + begin, length),
  };
}
