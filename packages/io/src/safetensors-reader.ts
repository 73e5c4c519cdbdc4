import { type ByteInput, type ByteSource, nameOf, openByteSource } from './byte-source.js';
import { bytesPerElement, elementCount, type HostTensor, viewAs } from './host-tensor.js';
import { LENGTH_BYTES, readSafetensorsHeader, type SafetensorsHeader, type TensorEntry } from './safetensors-header.js';

/** An open safetensors file: the header is in memory, tensors are read when asked for. */
export type SafetensorsFile = SafetensorsHeader & {
  /** Reads one tensor. */
  read(name: string): Promise<HostTensor>;
  /**
   * Reads the rows `begin ≤ i < end` of the tensor's first axis.
   *
   * @throws RangeError when the tensor is a scalar or has no such rows
   */
  readRows(name: string, begin: number, end: number): Promise<HostTensor>;
  close(): Promise<void>;
};

/** Whether `openSafetensors` is to read an input rather than `openCheckpoint`: bytes tell it themselves, files by name. */
export const isSafetensors = (input: ByteInput): boolean =>
  input instanceof Uint8Array ? input[LENGTH_BYTES] === 0x7b : nameOf(input).endsWith('.safetensors');

/**
 * Opens a safetensors file of any size and checks its whole header; the data stays on disk. Close it after use.
 *
 * @throws FileFormatError when the header is malformed or does not describe exactly the bytes of the file
 */
export async function openSafetensors(input: ByteInput): Promise<SafetensorsFile> {
  const source = await openByteSource(input);
  try {
    const header = await readSafetensorsHeader(source);
    return {
      ...header,
      read: async (name) => readTensor(source, findEntry(source, header, name)),
      readRows: async (name, begin, end) =>
        readTensor(source, selectRows(findEntry(source, header, name), name, begin, end)),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * Reads a whole safetensors file.
 *
 * @returns the tensors by name, and the string metadata of the header; both records have a null prototype
 * @throws FileFormatError when the file is malformed
 */
export async function readSafetensors(
  input: ByteInput,
): Promise<{ tensors: Record<string, HostTensor>; metadata: Record<string, string> }> {
  const file = await openSafetensors(input);
  try {
    const tensors: Record<string, HostTensor> = Object.create(null);
    for (const name of Object.keys(file.tensors)) tensors[name] = await file.read(name);
    return { tensors, metadata: file.metadata };
  } finally {
    await file.close();
  }
}

function findEntry(source: ByteSource, { tensors }: SafetensorsHeader, name: string): TensorEntry {
  const entry = tensors[name];
  if (entry === undefined) throw new Error(`${source.name}: no tensor is named ${JSON.stringify(name)}`);
  return entry;
}

function selectRows(entry: TensorEntry, name: string, begin: number, end: number): TensorEntry {
  const [rows, ...rowShape] = entry.shape;
  const valid = Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && begin <= end;
  if (rows === undefined || !valid || end > rows) {
    throw new RangeError(`readRows: ${name} of shape [${entry.shape}] has no rows ${begin} to ${end}`);
  }
  const rowBytes = elementCount(rowShape)! * bytesPerElement(entry.dtype);
  return {
    dtype: entry.dtype,
    shape: [end - begin, ...rowShape],
    offset: entry.offset + begin * rowBytes,
    byteLength: (end - begin) * rowBytes,
  };
}

async function readTensor(source: ByteSource, { dtype, shape, offset, byteLength }: TensorEntry): Promise<HostTensor> {
  return { dtype, shape: [...shape], data: viewAs(dtype, await source.read(offset, byteLength)) };
}
