import { FileFormatError } from './file-format-error.js';
import { bytesPerElement, elementCount, type HostTensor, viewAs } from './host-tensor.js';
import { CheckpointTensor, PickleFault, Refusal } from './pickle-values.js';
import { extentOf, toRowMajor } from './strided.js';
import type { StoredTensor } from './torch-globals.js';

/** One storage as a file holds it. */
export type StorageBytes = {
  /** Of the file: its name, and where the storage is, for messages. */
  readonly file: string;
  readonly place: number;
  /** How many bytes reading `length` bytes takes into memory. */
  cost(length: number): number;
  read(begin: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
};

/** Bytes of tensor data that may still be taken into memory. */
export type MemoryBudget = { bytes: number };

/**
 * Reads the bytes between a tensor's first and last element: of a large storage no more than that.
 *
 * @throws FileFormatError beyond the budget
 */
export async function readStoredTensor(
  { dtype, storage, offset, layout }: StoredTensor,
  bytes: StorageBytes,
  budget: MemoryBudget,
): Promise<HostTensor> {
  const width = bytesPerElement(dtype);
  const length = extentOf(layout) * width;
  budget.bytes -= Math.max(bytes.cost(length), elementCount(layout.shape)! * width);
  if (budget.bytes < 0) {
    const reason = 'tensors take more memory than a file of this size should: raise maxBytes if it is to be trusted';
    throw new FileFormatError(bytes.file, bytes.place, reason);
  }
  const store = await bytes.read(storage.begin + offset * width, length);
  return toRowMajor(dtype, viewAs(dtype, store), layout);
}

/** A tensor of a kind that cannot be read: its structure is known, and reading it fails with the reason. */
export function unreadableTensor(file: string, dtype: string, shape: number[], reason: string): CheckpointTensor {
  const read = async () => {
    throw new FileFormatError(file, undefined, `a tensor ${reason}`, { sound: true });
  };
  return new CheckpointTensor(dtype, shape, read, reason);
}

/** Runs `use` on a pickle that begins at `offset` of a file, and names both in what it throws. */
export function withPickleFaults<T>(file: string, offset: number, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof PickleFault)
      throw new FileFormatError(file, offset + error.offset, error.reason, { sound: error.isSound });
    if (error instanceof Refusal) throw new FileFormatError(file, offset, error.message, { sound: error.isSound });
    throw error;
  }
}
