import { type ByteInput, type ByteSource, openByteSource } from './byte-source.js';
import { type CheckpointValue, isRecord, readTensors, toCheckpointValue } from './checkpoint-values.js';
import { FileFormatError } from './file-format-error.js';
import { bytesPerElement, elementCount, type HostTensor, viewAs } from './host-tensor.js';
import { CheckpointTensor, PickleFault, Refusal } from './pickle-values.js';
import { extentOf, toRowMajor } from './strided.js';
import { createTorchHost, type StoredTensor, type TorchStorage } from './torch-globals.js';
import { unpickle } from './unpickle.js';
import type { ZipEntry } from './zip-directory.js';
import { locateMember, openZip, readMember, type ZipArchive } from './zip-reader.js';

export type CheckpointOptions = {
  /**
   * Most bytes of tensor data to take into memory, as a guard against files that describe more than they hold. Default:
   * four times the file's size and 64 MiB.
   */
  maxBytes?: number;
  /**
   * What to do with calls to functions that are not on the allow-list: `refuse` (default) with an error that names the
   * function, or `keep` as `PickledObject`s. Nothing is ever executed, and functions that build tensors are always
   * refused.
   */
  unknownCalls?: 'refuse' | 'keep';
};

/** An open PyTorch checkpoint: its structure is in memory, tensors are read when asked for. */
export type Checkpoint = {
  readonly value: CheckpointValue<CheckpointTensor>;
  /**
   * Reads every tensor of the part that `keys` lead to: `load()` all of them, `load('optimizer', 'state')` some.
   *
   * @throws Error when a key does not exist, with those that do
   */
  load(...keys: (string | number)[]): Promise<CheckpointValue<HostTensor>>;
  close(): Promise<void>;
};

/** A pickle above this size is no description of tensors. */
const LARGEST_PICKLE = 2 ** 28;

/** How the format that torch.save wrote before version 1.6 begins. */
const LEGACY_MAGIC = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** How a zip file begins. */
const ZIP_MAGIC = [0x50, 0x4b, 0x03, 0x04];

/**
 * Opens a `.pth`, `.pt` or `.ckpt` file written by `torch.save` (1.6 or later) without executing anything in it. Tensors
 * stay in the file; close the checkpoint when they have been read.
 *
 * @throws FileFormatError when the file is damaged, of an unsupported variant, or calls what is not on the allow-list
 */
export async function openCheckpoint(input: ByteInput, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const source = await openByteSource(input);
  try {
    await checkFormat(source);
    const value = await readStructure(await openZip(source), options);
    return {
      value,
      load: async (...keys) => readTensors(selectPart(source, value, keys)),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Reads a whole PyTorch checkpoint, tensors included (see `openCheckpoint`). */
export async function readCheckpoint(
  input: ByteInput,
  options: CheckpointOptions = {},
): Promise<CheckpointValue<HostTensor>> {
  const checkpoint = await openCheckpoint(input, options);
  try {
    return await checkpoint.load();
  } finally {
    await checkpoint.close();
  }
}

/**
 * Reads one state dict of a PyTorch checkpoint and nothing else of it.
 *
 * @param key - name of the state dict in the checkpoint (`model`, `model_ema`, `state_dict`); without it the checkpoint
 *   itself must be one
 * @returns the tensors by name, in a record with a null prototype
 */
export async function readStateDict(
  input: ByteInput,
  key?: string,
  options: CheckpointOptions = {},
): Promise<Record<string, HostTensor>> {
  const source = await openByteSource(input);
  const checkpoint = await openCheckpoint(source, options);
  try {
    const found = selectPart(source, checkpoint.value, key === undefined ? [] : [key]);
    const tensors: Record<string, HostTensor> = Object.create(null);
    if (!isRecord(found)) throw new Error(`${source.name}: ${key ?? 'the checkpoint'} is no state dict`);
    for (const [name, tensor] of Object.entries(found)) {
      if (!(tensor instanceof CheckpointTensor))
        throw new Error(`${source.name}: ${name} is no tensor of a state dict`);
      tensors[name] = await tensor.read();
    }
    return tensors;
  } finally {
    await checkpoint.close();
  }
}

function selectPart(
  source: ByteSource,
  root: CheckpointValue<CheckpointTensor>,
  keys: (string | number)[],
): CheckpointValue<CheckpointTensor> {
  let part = root;
  for (const key of keys) {
    const parts: Record<string, CheckpointValue<CheckpointTensor>> = Array.isArray(part) || isRecord(part)
      ? { ...part }
      : {};
    if (!Object.hasOwn(parts, key)) {
      const names = Object.keys(parts).slice(0, 20).join(', ');
      throw new Error(`${source.name}: no part is named ${JSON.stringify(key)}; there are: ${names || 'none'}`);
    }
    part = parts[key]!;
  }
  return part;
}

async function checkFormat(source: ByteSource): Promise<void> {
  const start = await source.read(0, Math.min(source.size, LEGACY_MAGIC.length));
  const fail = (reason: string) => new FileFormatError(source.name, 0, reason);
  if (LEGACY_MAGIC.every((byte, i) => start[i] === byte)) {
    throw fail(
      'is in the format of torch.save before PyTorch 1.6, which is not supported; ' +
        'convert it in Python: torch.save(torch.load(path, weights_only=True), path)',
    );
  }
  if (!ZIP_MAGIC.every((byte, i) => start[i] === byte)) throw fail('is not a PyTorch checkpoint (a zip archive)');
}

async function readStructure(
  archive: ZipArchive,
  options: CheckpointOptions,
): Promise<CheckpointValue<CheckpointTensor>> {
  const { entry, root } = findPickle(archive);
  await checkByteOrder(archive, root);
  const offset = await locateMember(archive, entry);
  const bytes = await readMember(archive, entry, LARGEST_PICKLE);
  const budget = { bytes: options.maxBytes ?? 4 * archive.source.size + 2 ** 26 };
  const members = new Map<string, ZipEntry>();
  const host = createTorchHost({
    keepUnknownCalls: options.unknownCalls === 'keep',
    openStorage: (storage) => void members.set(storage.key, findStorage(archive, root, storage)),
    makeTensor: (stored) =>
      new CheckpointTensor(stored.dtype, stored.layout.shape, () =>
        readStored(archive, members.get(stored.storage.key)!, stored, budget),
      ),
  });
  try {
    return toCheckpointValue(unpickle(bytes, host));
  } catch (error) {
    if (error instanceof PickleFault)
      throw new FileFormatError(archive.source.name, offset + error.offset, error.reason);
    if (error instanceof Refusal) throw new FileFormatError(archive.source.name, offset, error.message);
    throw error;
  }
}

/** A checkpoint has one folder at its root, with the structure in `data.pkl` and each storage in `data/<key>`. */
function findPickle({ source, entries }: ZipArchive): { entry: ZipEntry; root: string } {
  const names = [...entries.keys()];
  const fail = (reason: string) => new FileFormatError(source.name, 0, reason);
  if (names.some((name) => /^[^/]+\/constants\.pkl$/.test(name))) {
    throw fail('is a TorchScript archive; save its state dict instead: torch.save(module.state_dict(), path)');
  }
  const found = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (found.length !== 1) throw fail('is a zip archive, but no PyTorch checkpoint: it needs one data.pkl');
  return { entry: entries.get(found[0]!)!, root: found[0]!.slice(0, -'/data.pkl'.length) };
}

async function checkByteOrder(archive: ZipArchive, root: string): Promise<void> {
  const entry = archive.entries.get(`${root}/byteorder`);
  if (entry === undefined) return; // written since PyTorch 2.1
  const order = new TextDecoder().decode(await readMember(archive, entry, 16));
  if (order === 'little') return;
  throw new FileFormatError(
    archive.source.name,
    entry.headerOffset,
    `byte order ${JSON.stringify(order)} is unsupported`,
  );
}

function findStorage({ entries }: ZipArchive, root: string, { key, byteLength }: TorchStorage): ZipEntry {
  const entry = entries.get(`${root}/data/${key}`);
  if (entry === undefined) throw new Refusal(`storage ${JSON.stringify(key)} is not in the archive`);
  if (entry.size === byteLength) return entry;
  throw new Refusal(`storage ${JSON.stringify(key)} has ${entry.size} bytes instead of ${byteLength}`);
}

/** Reads the bytes between the tensor's first and last element: of a large storage no more than that. */
async function readStored(
  archive: ZipArchive,
  entry: ZipEntry,
  { dtype, offset, layout }: StoredTensor,
  budget: { bytes: number },
): Promise<HostTensor> {
  const width = bytesPerElement(dtype);
  const byteLength = extentOf(layout) * width;
  const whole = byteLength === entry.size || entry.method !== 0;
  budget.bytes -= Math.max(whole ? entry.size : byteLength, elementCount(layout.shape)! * width);
  if (budget.bytes < 0) {
    const reason = 'tensors take more memory than a file of this size should: raise maxBytes if it is to be trusted';
    throw new FileFormatError(archive.source.name, entry.headerOffset, reason);
  }
  const begin = offset * width;
  const store = whole
    ? (await readMember(archive, entry, entry.size)).subarray(begin, begin + byteLength)
    : await archive.source.read((await locateMember(archive, entry)) + begin, byteLength);
  return toRowMajor(dtype, viewAs(dtype, store), layout);
}
