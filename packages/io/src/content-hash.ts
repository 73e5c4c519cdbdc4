import { createHash } from 'node:crypto';
import { FileFormatError } from './file-format-error.js';
import { bytesOf, type HostTensor } from './host-tensor.js';

type Content = {
  readonly tensors: Readonly<Record<string, HostTensor>>;
  readonly metadata: Readonly<Record<string, string>>;
};

/** Name of the hash in the metadata of a safetensors file. The hash covers everything else in the file. */
const key = 'tokenbridge.sha256';

/**
 * Adds to the metadata a SHA-256 of it and of names, types, shapes and data of the tensors: for a file that is read back by the
 * program that wrote it. `assertContentHash` checks it.
 */
export function withContentHash(
  tensors: Record<string, HostTensor>,
  metadata: Record<string, string>,
): Record<string, string> {
  return { ...metadata, [key]: contentHash({ tensors, metadata }) };
}

/**
 * Checks that a file has the content that it was written with.
 *
 * @param content - all tensors of the file, and its metadata
 * @param isOptional - accept a file without a hash, as other programs write it, and any in a browser, which cannot hash
 *   piece by piece
 * @throws FileFormatError when it has another content than its hash states, or no hash
 */
export function assertContentHash(path: string, content: Content, isOptional = false): void {
  const expected = content.metadata[key];
  if (isOptional && (expected === undefined || !isNode())) return;
  if (expected === undefined) throw new FileFormatError(path, undefined, 'it has no checksum of its content');
  if (contentHash(content) !== expected)
    throw new FileFormatError(path, undefined, 'its content does not have the SHA-256 it was written with');
}

const isNode = () => typeof process !== 'undefined' && process.versions?.node !== undefined;

function contentHash({ tensors, metadata }: Content): string {
  const named = Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1));
  const shapes = named.map(([name, { dtype, shape }]) => [name, dtype, shape]);
  const others = Object.entries(metadata).filter(([name]) => name !== key);
  const hash = createHash('sha256').update(JSON.stringify([shapes, others.sort(([a], [b]) => (a < b ? -1 : 1))]));
  for (const [, { data }] of named) hash.update(bytesOf(data));
  return hash.digest('hex');
}
