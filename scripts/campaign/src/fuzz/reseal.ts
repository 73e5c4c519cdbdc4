// Checksums of mutants, made again: without them a mutant seldom gets past the checksum to what is behind it.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { memorySource } from '@tb/io';
import { readZipDirectory } from '../../../../packages/io/src/zip-directory.js';

/** A member of a zip archive that is stored as it is. */
export type StoredMember = { begin: number; end: number; checksumPlaces: number[] };

/** The first stored member whose name ends as given, with the places of its checksum in the archive. */
export async function storedMember(archive: Uint8Array, ending: string): Promise<StoredMember | undefined> {
  const entries = await readZipDirectory(memorySource(archive));
  const entry = [...entries.values()].find(
    ({ name, method, size }) => name.endsWith(ending) && method === 0 && size > 0,
  );
  if (entry === undefined) return undefined;
  const view = new DataView(archive.buffer, archive.byteOffset + entry.headerOffset);
  const begin = entry.headerOffset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  const checksum = Buffer.from(Uint32Array.of(entry.checksum).buffer);
  const places: number[] = [];
  const file = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  for (let at = file.indexOf(checksum); at >= 0; at = file.indexOf(checksum, at + 1)) places.push(at);
  return { begin, end: begin + entry.size, checksumPlaces: places };
}

/** Writes the checksum of a changed member to its places, in place. */
export function resealMember(archive: Uint8Array, { begin, end, checksumPlaces }: StoredMember): Uint8Array {
  const view = new DataView(archive.buffer, archive.byteOffset);
  for (const place of checksumPlaces) view.setUint32(place, crc32(archive.subarray(begin, end)), true);
  return archive;
}

/** Writes the checksum of every chunk of a PNG file that is still there, in place. */
export function resealPng(png: Uint8Array): Uint8Array {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = 8; at + 12 <= png.length; ) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > png.length) break;
    view.setUint32(end, crc32(png.subarray(at + 4, end)));
    at = end + 4;
  }
  return png;
}

/** Writes the checksum of a code file of version 2, in place. */
export function resealCodes(codes: Uint8Array): Uint8Array {
  if (codes.length < 16) return codes;
  const checksum = crc32(codes.subarray(16), crc32(codes.subarray(0, 12)));
  new DataView(codes.buffer, codes.byteOffset).setUint32(12, checksum, true);
  return codes;
}

/** A safetensors file with another header, of the right length; a file without one stays as it is. */
export function withHeader(file: Uint8Array, change: (header: Uint8Array) => Uint8Array): Uint8Array {
  if (file.length < 8) return file;
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = change(file.subarray(8, 8 + length));
  const size = new Uint8Array(8);
  new DataView(size.buffer).setBigUint64(0, BigInt(header.length), true);
  return Uint8Array.from(Buffer.concat([size, header, file.subarray(8 + length)]));
}

export const bytesOf = (path: string) => Uint8Array.from(readFileSync(path));

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
