import { writeFileAtomic } from './atomic-file.js';
import { bytesOf, bytesPerElement, checkTensor, type HostTensor } from './host-tensor.js';
import { LARGEST_HEADER, LENGTH_BYTES } from './safetensors-header.js';

/** Options of `writeSafetensors`. */
export type SafetensorsWriteOptions = {
  /** Strings for the header's `__metadata__`; frameworks expect `format: 'pt'` when PyTorch is to read the file. */
  metadata?: Record<string, string>;
};

/**
 * Writes a safetensors file atomically (see `writeFileAtomic`).
 *
 * Tensors are laid out by falling element size and then by name, so that each is aligned and equal input gives equal
 * bytes.
 *
 * @throws TypeError or RangeError when a tensor's dtype, shape and data disagree, or a name is reserved
 */
export async function writeSafetensors(
  path: string,
  tensors: Record<string, HostTensor>,
  options: SafetensorsWriteOptions = {},
): Promise<void> {
  const ordered = inFileOrder(tensors);
  const header = encodeHeader(ordered, options.metadata);
  await writeFileAtomic(path, [header, ...ordered.map(([, tensor]) => bytesOf(tensor.data))]);
}

function inFileOrder(tensors: Record<string, HostTensor>): [string, HostTensor][] {
  const entries = Object.entries(tensors);
  for (const [name, tensor] of entries) {
    checkName(name);
    checkTensor(`writeSafetensors: tensor ${JSON.stringify(name)}`, tensor);
  }
  return entries.sort(
    ([nameA, a], [nameB, b]) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype) || (nameA < nameB ? -1 : 1),
  );
}

function checkName(name: string): void {
  const reserved = name === '__metadata__' || name === '__proto__';
  if (!reserved && !/\p{Surrogate}/u.test(name)) return;
  throw new RangeError(`writeSafetensors: ${JSON.stringify(name)} cannot name a tensor`);
}

function encodeHeader(ordered: [string, HostTensor][], metadata: Record<string, string> | undefined): Uint8Array {
  const entries: Record<string, unknown> = {};
  if (metadata !== undefined && Object.keys(metadata).length > 0) entries.__metadata__ = checkMetadata(metadata);
  let end = 0;
  for (const [name, { dtype, shape, data }] of ordered) {
    const begin = end;
    end += data.byteLength;
    entries[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  const json = new TextEncoder().encode(JSON.stringify(entries));
  // Spaces after the JSON bring the data to a multiple of 8 bytes.
  const length = Math.ceil(json.length / 8) * 8;
  if (length > LARGEST_HEADER) throw new RangeError(`writeSafetensors: header must not exceed ${LARGEST_HEADER} bytes`);
  const header = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

function checkMetadata(metadata: Record<string, string>): Record<string, string> {
  for (const [key, value] of Object.entries(metadata)) {
    if (key === '__proto__') throw new RangeError('writeSafetensors: "__proto__" cannot be a metadata key');
    if (typeof value !== 'string')
      throw new TypeError(`writeSafetensors: metadata ${JSON.stringify(key)} must be a string, got ${typeof value}`);
    if (/\p{Surrogate}/u.test(key + value))
      throw new RangeError(`writeSafetensors: metadata ${JSON.stringify(key)} must not hold half a surrogate pair`);
  }
  return metadata;
}
