import { type ByteInput, type ByteSource, openByteSource } from './byte-source.js';
import { readArchivedCheckpoint } from './checkpoint-archive.js';
import { readLegacyCheckpoint } from './checkpoint-legacy.js';
import { type CheckpointValue, isRecord, readTensors } from './checkpoint-values.js';
import { FileFormatError } from './file-format-error.js';
import { reasonWithKind } from './file-kind.js';
import type { HostTensor } from './host-tensor.js';
import { CheckpointTensor } from './pickle-values.js';

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

/** How a zip file begins: the format of `torch.save` since PyTorch 1.6. */
const ZIP_MAGIC = [0x50, 0x4b, 0x03, 0x04];

/** How a pickle of protocol 2 or later begins: the format before. */
const PICKLE_MAGIC = [0x80];

/**
 * Opens a `.pth`, `.pt` or `.ckpt` file written by `torch.save`, of any version, without executing anything in it. Tensors
 * stay in the file; close the checkpoint when they have been read.
 *
 * @throws FileFormatError when the file is damaged, of an unsupported variant, or calls what is not on the allow-list
 */
export async function openCheckpoint(input: ByteInput, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const source = await openByteSource(input);
  try {
    const value = await readStructure(source, options);
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
 * @throws FileFormatError when the file is damaged; Error when the checkpoint has nothing of that name, or something else
 *   than a state dict
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
        throw new Error(`${source.name}: ${name} is no tensor of a state dict${partsHint(found, key)}`);
      tensors[name] = await tensor.read();
    }
    return tensors;
  } finally {
    await checkpoint.close();
  }
}

/** Which parts of a checkpoint could be meant where none was named. */
function partsHint(checkpoint: Record<string, CheckpointValue<CheckpointTensor>>, key?: string): string {
  const parts = Object.keys(checkpoint).filter((name) => isRecord(checkpoint[name]));
  return key === undefined && parts.length > 0 ? `; name the part to read: ${parts.slice(0, 20).join(', ')}` : '';
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

async function readStructure(
  source: ByteSource,
  { maxBytes = 4 * source.size + 2 ** 26, unknownCalls }: CheckpointOptions,
): Promise<CheckpointValue<CheckpointTensor>> {
  const start = await source.read(0, Math.min(source.size, ZIP_MAGIC.length));
  const beginsWith = (magic: readonly number[]) => magic.every((byte, i) => start[i] === byte);
  const budget = { bytes: maxBytes };
  if (beginsWith(ZIP_MAGIC)) return readArchivedCheckpoint(source, budget, unknownCalls === 'keep');
  if (beginsWith(PICKLE_MAGIC)) return readLegacyCheckpoint(source, budget, unknownCalls === 'keep');
  const reason = 'is not a PyTorch checkpoint: neither a zip archive nor a pickle';
  throw new FileFormatError(source.name, 0, await reasonWithKind(source, reason));
}
