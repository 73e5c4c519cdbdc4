import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { memorySource } from './byte-source.js';
import { FileFormatError } from './file-format-error.js';
import { checkMember, locateMember, openZip, readMember } from './zip-reader.js';
import { zipPieces } from './zip-writer.js';

const MOST_BYTES = 2 ** 20;

type Changes = {
  method?: number;
  flags?: number;
  size?: number;
  checksum?: number;
  name?: Uint8Array;
  bytes?: Uint8Array;
};

/** A zip archive of one member with the fields of the 32-bit format, each of which may lie. */
function makeZip(changes: Changes = {}, comment = ''): Uint8Array<ArrayBuffer> {
  const { method = 0, flags = 0, name = ascii('a'), bytes = ascii('hello') } = changes;
  const { size = bytes.length, checksum = 0x3610a686 } = changes; // the CRC-32 of "hello"
  const field = (width: 2 | 4, value: number) => (width === 2 ? u16(value) : u32(value));
  const shared = [
    field(2, flags),
    field(2, method),
    field(4, 0),
    field(4, checksum),
    field(4, bytes.length),
    field(4, size),
  ];
  const local = join(u32(0x04034b50), u16(20), ...shared, u16(name.length), u16(0), name, bytes);
  const lengths = join(u16(name.length), u16(0), u16(0), u16(0), u16(0), u32(0), u32(0));
  const directory = join(u32(0x02014b50), u16(20), u16(20), ...shared, lengths, name);
  const counts = join(u16(0), u16(0), u16(1), u16(1), u32(directory.length), u32(local.length));
  return join(local, directory, u32(0x06054b50), counts, u16(comment.length), ascii(comment));
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const u16 = (value: number): Uint8Array => new Uint8Array(Uint16Array.of(value).buffer);
const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const join = (...parts: Uint8Array[]): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.concat(parts));

async function readOnly(bytes: Uint8Array): Promise<string> {
  const archive = await openZip(memorySource(bytes));
  const [entry] = archive.entries.values();
  return new TextDecoder().decode(await readMember(archive, entry!, MOST_BYTES));
}

const bomb = deflateRawSync(new Uint8Array(2 ** 22));

describe('reading', () => {
  it('reads stored and deflated members, with and without a comment', async () => {
    expect(await readOnly(makeZip())).toBe('hello');
    expect(await readOnly(makeZip({}, 'a comment'))).toBe('hello');
    expect(await readOnly(makeZip({ method: 8, bytes: deflateRawSync('hello'), size: 5 }))).toBe('hello');
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /not a zip file/],
    ['an end record behind the end', join(makeZip(), ascii('x')), /not a zip file, or cut short/],
    ['a directory outside the file', makeZip().fill(0xfe, -6, -2), /directory lies outside/],
    ['a count of no members', makeZip().fill(0, -12, -10), /more than the 0 members that its end record counts/],
    ['a directory before its end record', makeZip().fill(4, -6, -5), /does not end where its end record begins/],
    ['a zip64 record that is missing', makeZip().fill(0xff, -6, -2), /needs a zip64 record/],
    ['more members than there is room for', makeZip().fill(9, -12, -10), /cannot hold/],
    ['an encrypted member', makeZip({ flags: 1 }), /encrypted/],
    ['an unknown method', makeZip({ method: 12 }), /compression method 12/],
    ['a name that is not UTF-8', makeZip({ name: Uint8Array.of(0xff) }), /not valid UTF-8/],
    ['a stored member with two sizes', makeZip({ size: 6 }), /two sizes/],
    ['a wrong checksum', makeZip({ checksum: 1 }), /wrong checksum/],
    ['a member that unpacks to more than it says', makeZip({ method: 8, bytes: bomb, size: 1000 }), /to more than/],
    ['a member that unpacks to less', makeZip({ method: 8, bytes: deflateRawSync('hello'), size: 6 }), /instead of 6/],
    ['a size above the cap', makeZip({ method: 8, bytes: bomb, size: 2 ** 22 }), /exceeds the limit/],
    ['a size that deflate cannot reach', makeZip({ method: 8, size: 2 ** 20 }), /more than deflate can pack/],
    ['bytes that are not deflated', makeZip({ method: 8, bytes: ascii('\xff\xff\xff\xff') }), /cannot be inflated/],
    ['zip64 sizes that are missing', makeZip({ size: 0xffffffff }), /without its zip64 sizes/],
  ])('refuses %s', async (_, bytes, reason) => {
    const error = await readOnly(bytes).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.reason).toMatch(reason);
  });

  it('refuses two members of one name, and members that share bytes', async () => {
    const member = (name: string) => ({ name, size: 5, pieces: [ascii('hello')] });
    const twice = join(...(await collect(zipPieces([member('a'), member('a')], false))));
    await expect(openZip(memorySource(twice))).rejects.toThrow('two zip members are named "a"');
    const pair = join(...(await collect(zipPieces([member('a'), member('b')], false))));
    const second = Buffer.from(pair).lastIndexOf('b');
    // The offset of the second member is the last field of its zip64 extra field: point it at the first member.
    new DataView(pair.buffer).setBigUint64(second + 1 + 4 + 16, 0n, true);
    await expect(openZip(memorySource(pair))).rejects.toThrow(/overlaps/);
  });
});

describe('a local header that disagrees with the directory', () => {
  const bytes = makeZip();
  const edited = (at: number, ...values: number[]) => {
    const copy = bytes.slice();
    copy.set(values, at);
    return copy;
  };

  it.each<[string, Uint8Array, RegExp]>([
    ['name', edited(30, 0x62), /another name in its local header/],
    ['checksum', edited(14, 0), /two different values for its checksum/],
    ['packed size', edited(18, 4), /two different values for its packed size/],
    ['size', edited(22, 6), /two different values for its size/],
    ['method', edited(8, 8), /two different compression methods/],
    ['signature', edited(0, 0), /no local header/],
  ])('in its %s is refused', async (_, archive, reason) => {
    const error = await readOnly(archive).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.reason).toMatch(reason);
  });

  it('may leave its facts to the descriptor behind a streamed member, which is compared too', async () => {
    const archive = join(...(await collect(zipPieces([{ name: 'a', size: 5, pieces: [ascii('hello')] }], false))));
    expect(await readOnly(archive)).toBe('hello');
    const descriptor = Buffer.from(archive).indexOf('PK\x07\x08');
    for (const at of [descriptor + 4, descriptor + 8]) {
      const copy = archive.slice();
      copy[at]! ^= 1;
      await expect(readOnly(copy)).rejects.toThrow('another checksum or size in the descriptor behind it');
    }
    const header = archive.slice();
    header[14]! = 1; // a checksum that is neither 0 nor right
    await expect(readOnly(header)).rejects.toThrow('two different values for its checksum');
  });

  it('is noticed in members that are read in parts', async () => {
    const archive = await openZip(memorySource(edited(22, 6)));
    const [entry] = archive.entries.values();
    await expect(checkMember(archive, entry!)).rejects.toThrow('two different values');
    await expect(locateMember(archive, entry!)).rejects.toThrow('two different values');
  });
});

it('compares a member with its checksum once, and again after a failure of the disk', async () => {
  const source = memorySource(makeZip());
  let reads = 0;
  let fails = true;
  const counting = {
    ...source,
    read: async (offset: number, length: number) => {
      reads += length === 5 ? 1 : 0;
      if (length === 5 && fails) throw new Error('the disk reports an error');
      return source.read(offset, length);
    },
  };
  const archive = await openZip(counting);
  const [entry] = archive.entries.values();
  await expect(checkMember(archive, entry!)).rejects.toThrow('the disk reports an error');
  fails = false;
  await Promise.all([checkMember(archive, entry!), checkMember(archive, entry!)]);
  await checkMember(archive, entry!);
  expect(reads).toBe(2);
});

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}
