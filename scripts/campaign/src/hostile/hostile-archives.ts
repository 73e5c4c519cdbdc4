// Zip archives that mislead their readers, as published: overlapping members, two directories, names that leave the folder,
// flags and sizes that disagree, archives of archives.
import { crc32, deflateRawSync } from 'node:zlib';

/** What one member states, in its local header and in the directory. */
type Member = {
  name: string | Buffer;
  data: Buffer;
  /** Differs from what is there, in the local header. */
  local?: Partial<Facts>;
  /** Differs from what is there, in the directory. */
  central?: Partial<Facts>;
};

type Facts = {
  name: Buffer;
  flags: number;
  method: number;
  checksum: number;
  packed: number;
  size: number;
  offset: number;
  attributes: number;
};

/** A header, local or of the directory. */
function header(isLocal: boolean, facts: Facts): Buffer {
  const { name, flags, method, checksum, packed, size, offset, attributes } = facts;
  const view = Buffer.alloc(isLocal ? 30 : 46);
  view.writeUInt32LE(isLocal ? 0x04034b50 : 0x02014b50, 0);
  const at = isLocal ? 0 : 2;
  view.writeUInt16LE(20, at + 4);
  view.writeUInt16LE(flags, at + 6);
  view.writeUInt16LE(method, at + 8);
  view.writeUInt32LE(checksum, at + 14);
  view.writeUInt32LE(packed >>> 0, at + 18);
  view.writeUInt32LE(size >>> 0, at + 22);
  view.writeUInt16LE(name.length, at + 26);
  if (!isLocal) {
    view.writeUInt32LE(attributes >>> 0, 38);
    view.writeUInt32LE(offset >>> 0, 42);
  }
  return Buffer.concat([view, name]);
}

type End = { count?: number; size?: number; offset?: number; comment?: Buffer };

function archive(members: readonly Member[], end: End = {}, before = Buffer.alloc(0)): Uint8Array {
  const parts: Buffer[] = [before];
  const directory: Buffer[] = [];
  let offset = before.length;
  for (const { name, data, local, central } of members) {
    const facts: Facts = {
      name: Buffer.isBuffer(name) ? name : Buffer.from(name),
      flags: 0,
      method: 0,
      checksum: crc32(data),
      packed: data.length,
      size: data.length,
      offset,
      attributes: 0,
    };
    const head = header(true, { ...facts, ...local });
    directory.push(header(false, { ...facts, ...central }));
    parts.push(head, data);
    offset += head.length + data.length;
  }
  const list = Buffer.concat(directory);
  const record = Buffer.alloc(22);
  const { count = members.length, size = list.length, offset: start = offset, comment = Buffer.alloc(0) } = end;
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(count & 0xffff, 8);
  record.writeUInt16LE(count & 0xffff, 10);
  record.writeUInt32LE(size >>> 0, 12);
  record.writeUInt32LE(start >>> 0, 16);
  record.writeUInt16LE(comment.length, 20);
  return Uint8Array.from(Buffer.concat([...parts, list, record, comment]));
}

const none = Buffer.from([0x80, 2, 0x4e, 0x2e]); // a pickle of None
const other = Buffer.from([0x80, 2, 0x88, 0x2e]); // a pickle of True
const pickle = (data = none, more: Partial<Member> = {}): Member => ({ name: 'archive/data.pkl', data, ...more });
const storage = (name: string | Buffer, data = Buffer.from('1234')): Member => ({ name, data });

/** A member of zeros that unpacks to `size` bytes. */
function zeros(name: string, size: number): Member {
  const plain = Buffer.alloc(size);
  const data = deflateRawSync(plain);
  const facts = { method: 8, checksum: crc32(plain), packed: data.length, size };
  return { name, data, local: facts, central: facts };
}

const twoDirectories = Buffer.concat([Buffer.from(archive([pickle(other)])), Buffer.from(archive([pickle()]))]);

/** Archives by name. Each is read as a checkpoint and as an npz file. */
export const hostileArchives: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ['a name that leaves the folder', archive([pickle(), storage('../../../../tmp/outside')])],
  ['a name from the root', archive([pickle(), storage('/etc/cron.d/outside')])],
  ['a name with a drive', archive([pickle(), storage('C:\\windows\\outside')])],
  ['a name with backslashes', archive([pickle(), storage('..\\..\\outside')])],
  ['a name with control characters', archive([pickle(), storage('archive/\u001b[2J\u0007\r\n')])],
  ['a name with NUL', archive([pickle(), storage('archive/data/0\0.png')])],
  ['a name that is not UTF-8', archive([pickle(), storage(Buffer.from([0xff, 0xfe, 0x2f]))])],
  ['a name of 60,000 characters', archive([pickle(), storage('a'.repeat(60_000))])],
  ['an empty name', archive([pickle(), storage('')])],
  ['a name of Object.prototype', archive([pickle(), storage('__proto__'), storage('constructor')])],
  [
    'a link',
    archive([
      pickle(),
      { ...storage('archive/link', Buffer.from('/etc/passwd')), central: { attributes: 0xa1ff0000 } },
    ]),
  ],
  ['two members of one name', archive([pickle(), pickle(other)])],
  ['two pickles', archive([pickle(), { ...pickle(other), name: 'other/data.pkl' }])],
  ['another name in the local header', archive([pickle(none, { local: { name: Buffer.from('archive/data.pk1') } })])],
  ['another size in the local header', archive([pickle(none, { local: { size: 5 } })])],
  ['another checksum in the local header', archive([pickle(none, { local: { checksum: 1 } })])],
  ['a wrong checksum', archive([pickle(none, { local: { checksum: 1 }, central: { checksum: 1 } })])],
  ['another method in the local header', archive([pickle(none, { local: { method: 8 } })])],
  ['an unknown method', archive([pickle(none, { local: { method: 99 }, central: { method: 99 } })])],
  ['a member that is called encrypted', archive([pickle(none, { local: { flags: 1 }, central: { flags: 1 } })])],
  [
    'flags of a patch and of strong encryption',
    archive([pickle(none, { local: { flags: 0x60 }, central: { flags: 0x60 } })]),
  ],
  [
    'a descriptor that is not there',
    archive([pickle(none, { local: { flags: 8, size: 0, packed: 0, checksum: 0 }, central: { flags: 8 } })]),
  ],
  ['a size of 4 GiB', archive([pickle(none, { central: { size: 0xfffffffe } })])],
  ['a packed size of 4 GiB', archive([pickle(none, { central: { size: 0xfffffffe, packed: 0xfffffffe } })])],
  ['zip64 sizes that are not there', archive([pickle(none, { central: { size: 0xffffffff } })])],
  ['an offset behind the file', archive([pickle(none, { central: { offset: 0x7fffffff } })])],
  ['members that overlap', archive([pickle(), { ...pickle(), name: 'archive/data/0', central: { offset: 0 } }])],
  ['a directory of 65,535 members', archive([pickle()], { count: 0xffff })],
  ['a directory of one more member', archive([pickle()], { count: 2 })],
  ['a directory of one less member', archive([pickle(), storage('archive/data/0')], { count: 1 })],
  ['a directory behind the file', archive([pickle()], { offset: 0xfffffff0 })],
  ['a directory over its members', archive([pickle()], { offset: 0, size: 0 })],
  ['an end record in the comment', archive([pickle()], { comment: Buffer.from(archive([pickle(other)])) })],
  ['two archives one behind the other', Uint8Array.from(twoDirectories)],
  ['an archive behind other bytes', archive([pickle()], {}, Buffer.from('#!/bin/sh\ntouch x\n'))],
  ['zeros that unpack to 256 MiB', archive([zeros('archive/data.pkl', 2 ** 28)])],
  ['zeros that unpack to 256 MiB, as an array', archive([zeros('arr_0.npy', 2 ** 28)])],
  [
    'sixty members of 4 MiB of zeros',
    archive([pickle(), ...Array.from({ length: 60 }, (_, i) => zeros(`archive/data/${i}`, 2 ** 22))]),
  ],
  [
    'a deflated member that lies about its size',
    archive([{ ...zeros('archive/data.pkl', 2 ** 20), central: { ...zeros('', 2 ** 20).central, size: 4 } }]),
  ],
  [
    'deflate that refers to before its start',
    archive([pickle(Buffer.from([0x03, 0x02, 0x00]), { local: { method: 8 }, central: { method: 8, size: 4 } })]),
  ],
  ['an archive of an archive', archive([{ name: 'archive/data.pkl', data: Buffer.from(archive([pickle()])) }])],
  [
    'code of TorchScript',
    archive([
      pickle(),
      storage('archive/constants.pkl'),
      storage('archive/code/__torch__.py', Buffer.from('import os')),
    ]),
  ],
  ['no member', archive([])],
];
