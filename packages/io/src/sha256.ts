import { createHash } from 'node:crypto';
import { type ByteInput, withByteSource } from './byte-source.js';

const PIECE = 2 ** 22;

/** SHA-256 of a file's bytes, as 64 lower-case hexadecimal digits; the file is read in pieces of 4 MiB. */
export function fileSha256(input: ByteInput): Promise<string> {
  return withByteSource(input, async (source) => {
    const hash = createHash('sha256');
    for (let offset = 0; offset < source.size; offset += PIECE) {
      hash.update(await source.read(offset, Math.min(PIECE, source.size - offset)));
    }
    return hash.digest('hex');
  });
}
