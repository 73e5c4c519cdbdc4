import { type ByteInput, type ByteSource, withSource } from './byte-source.js';
import { type CheckpointStructure, readArchivedCheckpoint } from './checkpoint-archive.js';
import { readLegacyCheckpoint } from './checkpoint-legacy.js';
import { type CheckpointValue, isRecord, readTensors } from './checkpoint-values.js';
import { FileFormatError } from './file-format-error.js';
import { reasonWithKind } from './file-kind.js';
import type { HostTensor } from './host-tensor.js';
import { CheckpointTensor, PickledObject } from './pickle-values.js';
import { listed, quoted } from './printable.js';
import type { UnknownCalls } from './torch-globals.js';

/** Options of `readCheckpoint`, `readStateDict` and `openCheckpoint`. */
export type CheckpointOptions = {
  /**
   * Most bytes of tensor data to take into memory, as a guard against files that describe more than they hold. Default:
   * four times the file's size and 64 MiB.
   */
  maxBytes?: number;
  /**
   * What to do with calls to functions that are not on the allow-list. Nothing is ever executed: their results are
   * `PickledObject`s. `keep-harmless` (default) refuses files that ask for what runs code in Python, such as `os.system`,
   * and names the function; `keep` accepts those too; `refuse` refuses every unknown call.
   */
  unknownCalls?: UnknownCalls;
};

/** An open PyTorch checkpoint: its structure is in memory, tensors are read when asked for. */
export type Checkpoint = {
  readonly value: CheckpointValue<CheckpointTensor>;
  /**
   * Whether checksums in the file cover its tensors: they are checked when tensors are read. The format before PyTorch 1.6
   * has none, nor have files written with `torch.serialization.set_crc32_options(False)`.
   */
  readonly hasChecksums: boolean;
  /**
   * Reads every tensor of the part that `keys` lead to: `load()` all of them, `load('optimizer', 'state')` some. Tensors
   * that cannot be read, sparse ones for instance, stay `CheckpointTensor`s whose `read` gives the reason.
   *
   * @throws Error when a key does not exist, with those that do
   */
  load(...keys: (string | number)[]): Promise<CheckpointValue<HostTensor>>;
  /**
   * Reads the state dict to which `keys` lead, and nothing else of the checkpoint.
   *
   * @returns the tensors by name, in a record with a null prototype
   * @throws Error when there is nothing of that name, or something else than a state dict; FileFormatError when one of its
   *   tensors is damaged or cannot be read
   */
  loadStateDict(...keys: (string | number)[]): Promise<Record<string, HostTensor>>;
  close(): Promise<void>;
};

/** How a zip file begins: the format of `torch.save` since PyTorch 1.6. */
const ZIP_MAGIC = [0x50, 0x4b, 0x03, 0x04];

/** How a pickle of protocol 2 or later begins: the format before. */
const PICKLE_MAGIC = [0x80];

/**
 * Opens a `.pth`, `.pt` or `.ckpt` file written by `torch.save`, of any version, without executing anything in it. Tensors
 * stay in the file; close the checkpoint when they have been read. What the file holds besides tensors and plain data does
 * not keep them from being read.
 *
 * @throws FileFormatError when the file is damaged, of an unsupported variant, or asks Python to run code; Error when a path
 *   cannot be opened
 */
export function openCheckpoint(input: ByteInput, options: CheckpointOptions = {}): Promise<Checkpoint> {
  return withSource(input, async (source) => {
    const { value, hasChecksums } = await readStructure(source, options);
    return {
      value,
      hasChecksums,
      load: async (...keys) => readTensors(selectPart(source.name, value, keys)),
      loadStateDict: async (...keys) => readStateDictOf(source.name, selectPart(source.name, value, keys), keys),
      close: () => source.close(),
    };
  });
}

/** Reads a PyTorch checkpoint with all tensors (see `openCheckpoint`). */
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
 * @throws FileFormatError when the file is damaged, or one of the tensors cannot be read; Error when the checkpoint has
 *   nothing of that name, or something else than a state dict
 */
export async function readStateDict(
  input: ByteInput,
  key?: string,
  options: CheckpointOptions = {},
): Promise<Record<string, HostTensor>> {
  const checkpoint = await openCheckpoint(input, options);
  try {
    return await checkpoint.loadStateDict(...(key === undefined ? [] : [key]));
  } finally {
    await checkpoint.close();
  }
}

async function readStateDictOf(
  file: string,
  part: CheckpointValue<CheckpointTensor>,
  keys: (string | number)[],
): Promise<Record<string, HostTensor>> {
  const what = keys.length === 0 ? 'the checkpoint' : quoted(keys.join('.'));
  if (!isRecord(part)) throw new Error(`${file}: ${what} is not a state dict, but ${kindOf(part)}`);
  const tensors: Record<string, HostTensor> = Object.create(null);
  for (const [name, tensor] of Object.entries(part)) {
    if (!(tensor instanceof CheckpointTensor))
      throw new Error(
        `${file}: ${quoted(name)} is not a tensor of a state dict${keys.length === 0 ? partsHint(part) : ''}`,
      );
    if (tensor.unreadable !== undefined)
      throw new FileFormatError(file, undefined, `tensor ${quoted(name)} ${tensor.unreadable}`, { sound: true });
    tensors[name] = await tensor.read();
  }
  return tensors;
}

/** What a value is, for a message. */
function kindOf(value: CheckpointValue<CheckpointTensor>): string {
  if (value === null) return 'None';
  if (value instanceof PickledObject)
    return `an object of the class ${listed([value.className])}: save its state_dict() instead`;
  if (value instanceof CheckpointTensor) return 'one tensor';
  return typeof value === 'object' ? 'a list or a dict without names' : `a ${typeof value}`;
}

/** Which parts of a checkpoint could be meant where none was named. */
function partsHint(checkpoint: Record<string, CheckpointValue<CheckpointTensor>>): string {
  const parts = Object.keys(checkpoint).filter((name) => isRecord(checkpoint[name]));
  return parts.length > 0 ? `; name the part to read: ${listed(parts)}` : '';
}

function selectPart(
  file: string,
  root: CheckpointValue<CheckpointTensor>,
  keys: (string | number)[],
): CheckpointValue<CheckpointTensor> {
  let part = root;
  for (const key of keys) {
    if (part instanceof PickledObject) throw new Error(`${file}: the checkpoint is ${kindOf(part)}`);
    const parts = (Array.isArray(part) || isRecord(part) ? part : {}) as Record<
      string,
      CheckpointValue<CheckpointTensor>
    >;
    if (!Object.prototype.propertyIsEnumerable.call(parts, key))
      throw new Error(
        `${file}: no part is named ${typeof key === 'string' ? quoted(key) : key}; there are: ${listed(Object.keys(parts))}`,
      );
    part = parts[key]!;
  }
  return part;
}

async function readStructure(
  source: ByteSource,
  { maxBytes = 4 * source.size + 2 ** 26, unknownCalls = 'keep-harmless' }: CheckpointOptions,
): Promise<CheckpointStructure> {
  const start = await source.read(0, Math.min(source.size, ZIP_MAGIC.length));
  const beginsWith = (magic: readonly number[]) => magic.every((byte, i) => start[i] === byte);
  const options = { memory: { bytes: maxBytes }, unknownCalls };
  if (beginsWith(ZIP_MAGIC)) return readArchivedCheckpoint(source, options);
  if (beginsWith(PICKLE_MAGIC)) return readLegacyCheckpoint(source, options);
  const reason = 'is not a PyTorch checkpoint: neither a zip archive nor a pickle';
  throw new FileFormatError(source.name, 0, await reasonWithKind(source, reason));
}
