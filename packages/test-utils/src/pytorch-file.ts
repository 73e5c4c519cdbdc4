import { writeFileSync } from 'node:fs';
import type { HostTensor } from '@tb/io';

/** Pickle opcodes (protocol 2) as the few values that a state dict needs. */
const latin = (text: string) => Buffer.from(text, 'latin1');
const number = (value: number) => {
  const bytes = Buffer.alloc(5, 'J');
  bytes.writeInt32LE(value, 1);
  return bytes;
};
const text = (value: string) => {
  const head = Buffer.alloc(5, 'X');
  head.writeUInt32LE(Buffer.byteLength(value), 1);
  return Buffer.concat([head, Buffer.from(value)]);
};
const tuple = (...items: Buffer[]) => Buffer.concat([latin('('), ...items, latin('t')]);
const pickle = (...parts: Buffer[]) => Buffer.concat([latin('\x80\x02'), ...parts, latin('.')]);
const orderedDict = latin('ccollections\nOrderedDict\n)R');

const MAGIC = latin('\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19');
const VERSION = latin('M\xe9\x03'); // 1001
const STORAGES: Partial<Record<HostTensor['dtype'], string>> = { F32: 'FloatStorage', I64: 'LongStorage' };

/**
 * Writes a state dict as `torch.save` did before PyTorch 1.6: pickles one after another, then the storages. The published
 * weights of Inception-v3 have this form. Float32 and int64 only.
 */
export function writeLegacyCheckpoint(path: string, tensors: Record<string, HostTensor>): void {
  const entries = Object.entries(tensors);
  const keys = entries.map((_, i) => String(94_000_000_000_000 + 64 * i)); // addresses, as PyTorch has
  const items = entries.flatMap(([name, tensor], i) => [text(name), rebuiltTensor(tensor, keys[i])]);
  const systemInfo = Buffer.concat([latin('}'), text('little_endian'), latin('\x88s')]);
  const head = [
    pickle(MAGIC),
    pickle(VERSION),
    pickle(systemInfo),
    pickle(orderedDict, latin('('), ...items, latin('u')),
    pickle(latin(']('), ...keys.map(text), latin('e')),
  ];
  const storages = entries.flatMap(([, { data }]) => [
    Buffer.from(BigInt64Array.of(BigInt(data.length)).buffer),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  ]);
  writeFileSync(path, Buffer.concat([...head, ...storages]));
}

/** torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()) */
function rebuiltTensor({ dtype, shape, data }: HostTensor, key: string): Buffer {
  const storage = STORAGES[dtype];
  if (!storage) throw new Error(`writeLegacyCheckpoint: dtype must be F32 or I64, got ${dtype}`);
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const type = latin(`ctorch\n${storage}\n`);
  const stored = tuple(text('storage'), type, text(key), text('cpu'), number(data.length), latin('N'));
  const rebuilt = tuple(
    Buffer.concat([stored, latin('Q')]),
    number(0),
    tuple(...shape.map(number)),
    tuple(...strides.map(number)),
    latin('\x89'),
    orderedDict,
  );
  return Buffer.concat([latin('ctorch._utils\n_rebuild_tensor_v2\n'), rebuilt, latin('R')]);
}
