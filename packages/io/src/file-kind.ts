import type { ByteSource } from './byte-source.js';

const START_BYTES = 512;

const webPage = 'a web page: download the file itself, signed in if need be';
const compressed = 'compressed: unpack it first';

/** How files begin, a character per byte. */
const beginnings: readonly (readonly [start: string, kind: string])[] = [
  ['version https://git-lfs', 'a pointer of Git LFS: fetch the file itself with "git lfs pull"'],
  ['PK\x03\x04', 'a zip archive, as torch.save and numpy.savez write them'],
  ['\x80\x02', 'a pickle, as old versions of torch.save write them'],
  ['\x93NUMPY', 'a NumPy array (.npy)'],
  ['\x89HDF', 'HDF5'],
  ...['\x1f\x8b', 'BZh', '\xfd7zXZ', '\x28\xb5\x2f\xfd', '7z\xbc\xaf'].map((start) => [start, compressed] as const),
];

/**
 * Completes the reason why a file is refused with what the file is instead where its first bytes show it: a saved web page or a
 * pointer of Git LFS in place of a download, a format that another function reads.
 */
export async function reasonWithKind(source: ByteSource, reason: string): Promise<string> {
  const start = await source.read(0, Math.min(source.size, START_BYTES));
  const kind = kindOf(String.fromCharCode(...start));
  return kind === undefined ? reason : `${reason}; the file is ${kind}`;
}

function kindOf(text: string): string | undefined {
  if (text === '') return 'empty';
  if (['<!doctype', '<html', '<?xml'].some((tag) => text.trimStart().toLowerCase().startsWith(tag))) return webPage;
  if (text.startsWith('\0\0\0{', 5)) return 'safetensors'; // a header of less than 2^40 bytes
  return beginnings.find(([start]) => text.startsWith(start))?.[1];
}
