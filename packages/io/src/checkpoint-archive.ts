import type { ByteSource } from './byte-source.js';
import { type CheckpointValue, toCheckpointValue } from './checkpoint-values.js';
import { FileFormatError } from './file-format-error.js';
import { PickleBudget } from './pickle-budget.js';
import { CheckpointTensor, Refusal } from './pickle-values.js';
import { quoted } from './printable.js';
import {
  type MemoryBudget,
  readStoredTensor,
  type StorageBytes,
  unreadableTensor,
  withPickleFaults,
} from './stored-tensor.js';
import { createTorchHost, type TorchStorage, type UnknownCalls } from './torch-globals.js';
import { unpickle } from './unpickle.js';
import type { ZipEntry } from './zip-directory.js';
import { checkMember, locateMember, openZip, readMember, type ZipArchive } from './zip-reader.js';

/** A pickle above this size is not a description of tensors. */
export const LARGEST_PICKLE = 2 ** 28;

/** PyTorch does not compress pickles. One that was compressed later may not unpack to much more than the file's size. */
const mostPickleBytes = (fileSize: number) => Math.min(LARGEST_PICKLE, 2 ** 24 + 8 * fileSize);

/** The structure of a checkpoint, and whether checksums cover its tensors. */
export type CheckpointStructure = { value: CheckpointValue<CheckpointTensor>; hasChecksums: boolean };

export type StructureOptions = { memory: MemoryBudget; unknownCalls: UnknownCalls };

/** Reads the structure of a checkpoint that is a zip archive: what `torch.save` writes since PyTorch 1.6. */
export async function readArchivedCheckpoint(
  source: ByteSource,
  { memory, unknownCalls }: StructureOptions,
): Promise<CheckpointStructure> {
  const archive = await openZip(source, { allowNoChecksums: true });
  const { entry, root } = findPickle(archive);
  await checkByteOrder(archive, root);
  const offset = await locateMember(archive, entry);
  const bytes = await readMember(archive, entry, mostPickleBytes(source.size));
  const members = new Map<string, ZipEntry>();
  const budget = new PickleBudget(source.size);
  const host = createTorchHost({
    unknownCalls,
    budget,
    openStorage: (storage) => void members.set(storage.key, findStorage(archive, root, storage)),
    makeTensor: (stored) => {
      const member = storedInMember(archive, members.get(stored.storage.key)!);
      return new CheckpointTensor(stored.dtype, stored.layout.shape, () => readStoredTensor(stored, member, memory));
    },
    makeUnreadable: (dtype, shape, reason) => unreadableTensor(source.name, dtype, shape, reason),
  });
  const value = withPickleFaults(source.name, offset, () => toCheckpointValue(unpickle(bytes, host, { budget }).value));
  return { value, hasChecksums: archive.hasChecksums };
}

/** A checkpoint has one folder at its root, with the structure in `data.pkl` and each storage in `data/<key>`. */
function findPickle({ source, entries }: ZipArchive): { entry: ZipEntry; root: string } {
  const names = [...entries.keys()];
  const fail = (reason: string, sound = false) => new FileFormatError(source.name, 0, reason, { sound });
  if (names.some((name) => /^[^/]+\/constants\.pkl$/.test(name))) {
    throw fail('is a TorchScript archive; save its state dict instead: torch.save(module.state_dict(), path)', true);
  }
  const pickles = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) throw fail('is a zip archive, but not a PyTorch checkpoint: it needs one data.pkl');
  return { entry: entries.get(pickles[0]!)!, root: pickles[0]!.slice(0, -'/data.pkl'.length) };
}

async function checkByteOrder(archive: ZipArchive, root: string): Promise<void> {
  const entry = archive.entries.get(`${root}/byteorder`);
  if (entry === undefined) return; // written since PyTorch 2.1
  const order = new TextDecoder().decode(await readMember(archive, entry, 16));
  if (order === 'little') return;
  throw new FileFormatError(
    archive.source.name,
    entry.headerOffset,
    `byte order ${quoted(order)} is unsupported: save it on a little-endian machine`,
    { sound: order === 'big' },
  );
}

function findStorage({ entries }: ZipArchive, root: string, { key, byteLength }: TorchStorage): ZipEntry {
  const entry = entries.get(`${root}/data/${key}`);
  if (entry === undefined) throw new Refusal(`storage ${quoted(key)} is not in the archive`);
  if (byteLength === undefined || entry.size === byteLength) return entry;
  throw new Refusal(`storage ${quoted(key)} has ${entry.size} bytes instead of ${byteLength}`);
}

/** Before the first part of a member is read, all of it is checked against its checksum. */
function storedInMember(archive: ZipArchive, entry: ZipEntry): StorageBytes {
  const isWhole = (length: number) => length === entry.size || entry.method !== 0;
  return {
    file: archive.source.name,
    place: entry.headerOffset,
    cost: (length) => (isWhole(length) ? entry.size : length),
    async read(begin, length) {
      if (isWhole(length)) return (await readMember(archive, entry, entry.size)).subarray(begin, begin + length);
      await checkMember(archive, entry);
      return archive.source.read((await locateMember(archive, entry)) + begin, length);
    },
  };
}
