import { createHash } from 'node:crypto';
import { FileFormatError } from './file-format-error.js';
import { bytesOf, type HostTensor } from './host-tensor.js';

type Content = { tensors: Record<string, HostTensor>; metadata: Record<string, string> };

/** Under this name the metadata of a safetensors file holds the hash of all that it holds otherwise. */
const key = 'sha256';

/**
 * The metadata, with a SHA-256 of it and of names, types, shapes and data of the tensors: for a file that is read back by the
 * program that wrote it. `assertContentHash` checks it.
 */
export function withContentHash(
  tensors: Record<string, HostTensor>,
  metadata: Record<string, string>,
): Record<string, string> {
  return { ...metadata, [key]: contentHash({ tensors, metadata }) };
}

/** @throws FileFormatError when a file is not what it was written as, or was written without a hash */
export function assertContentHash(path: string, content: Content): void {
  const expected = content.metadata[key];
  if (expected === undefined) throw new FileFormatError(path, undefined, 'it has no checksum of its content');
  if (contentHash(content) !== expected)
    throw new FileFormatError(path, undefined, 'its content does not have the SHA-256 it was written with');
}

function contentHash({ tensors, metadata }: Content): string {
  const named = Object.entries(tensors).sort(([a], [b]) => (a < b ? -1 : 1));
  const shapes = named.map(([name, { dtype, shape }]) => [name, dtype, shape]);
  const others = Object.entries(metadata).filter(([name]) => name !== key);
  const hash = createHash('sha256').update(JSON.stringify([shapes, others.sort(([a], [b]) => (a < b ? -1 : 1))]));
  for (const [, { data }] of named) hash.update(bytesOf(data));
  return hash.digest('hex');
}
