import { type ByteInput, type ByteSource, nameOf, withSource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import {
  bytesPerElement,
  type DType,
  elementCount,
  type HostTensor,
  isDType,
  shapeText,
  viewAs,
} from './host-tensor.js';
import { quoted } from './printable.js';
import { LENGTH_BYTES, readSafetensorsHeader, type SafetensorsHeader, type TensorEntry } from './safetensors-header.js';
import { bytesIn } from './typed-array.js';

/**
 * An open safetensors file: the header is in memory, tensors are read when asked for. Tensors of types that this package
 * cannot represent (float8, complex numbers, …) are described in `tensors` too; only reading them fails.
 */
export type SafetensorsFile = SafetensorsHeader & {
  /**
   * Reads one tensor.
   *
   * @throws Error when there is no tensor of that name; FileFormatError when its type can only be described
   */
  read(name: string): Promise<HostTensor>;
  /**
   * Reads the rows `begin ≤ i < end` of the tensor's first axis.
   *
   * @throws RangeError when the tensor is a scalar or has no such rows; else as `read`
   */
  readRows(name: string, begin: number, end: number): Promise<HostTensor>;
  close(): Promise<void>;
};

/** Whether `openSafetensors` reads an input rather than `openCheckpoint`: bytes show it themselves, files by their name. */
export function isSafetensors(input: ByteInput): boolean {
  const bytes = bytesIn(input);
  return bytes !== undefined ? bytes[LENGTH_BYTES] === 0x7b : nameOf(input).endsWith('.safetensors');
}

/**
 * Opens a safetensors file of any size and checks its complete header; the data stays on disk. Close it after use.
 *
 * @throws FileFormatError when the header is malformed or does not describe exactly the bytes of the file
 */
export function openSafetensors(input: ByteInput): Promise<SafetensorsFile> {
  return withSource(input, async (source) => {
    const header = await readSafetensorsHeader(source);
    const find = (name: string) => findEntry(source, header, name);
    return {
      ...header,
      read: async (name) => readTensor(source, find(name)),
      readRows: async (name, begin, end) => readTensor(source, selectRows(find(name), name, begin, end)),
      close: () => source.close(),
    };
  });
}

/**
 * Reads a complete safetensors file.
 *
 * @returns the tensors by name, and the string metadata of the header; both records have a null prototype
 * @throws FileFormatError when the file is malformed, or holds a tensor that cannot be read: `openSafetensors` reads others
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

/** An entry whose elements can be read. */
type ReadableEntry = TensorEntry & { dtype: DType };

function findEntry(source: ByteSource, { tensors }: SafetensorsHeader, name: string): ReadableEntry {
  const entry = tensors[name];
  if (entry === undefined) throw new Error(`${source.name}: no tensor is named ${quoted(name)}`);
  if (isReadable(entry)) return entry;
  const reason = `tensor ${quoted(name)} has the type ${quoted(entry.dtype)}, which cannot be read`;
  throw new FileFormatError(source.name, entry.offset, `${reason}: convert it to F32 or BF16 before`, { sound: true });
}

const isReadable = (entry: TensorEntry): entry is ReadableEntry => isDType(entry.dtype);

function selectRows(entry: ReadableEntry, name: string, begin: number, end: number): ReadableEntry {
  const [rows, ...rowShape] = entry.shape;
  const valid = Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && begin <= end;
  if (rows === undefined || !valid || end > rows) {
    throw new RangeError(`readRows: ${name} of shape [${shapeText(entry.shape)}] has no rows ${begin} to ${end}`);
  }
  const rowBytes = elementCount(rowShape)! * bytesPerElement(entry.dtype);
  return {
    dtype: entry.dtype,
    shape: [end - begin, ...rowShape],
    offset: entry.offset + begin * rowBytes,
    byteLength: (end - begin) * rowBytes,
  };
}

async function readTensor(
  source: ByteSource,
  { dtype, shape, offset, byteLength }: ReadableEntry,
): Promise<HostTensor> {
  return { dtype, shape: [...shape], data: viewAs(dtype, await source.read(offset, byteLength)) };
}
