import { type HostTensor, writeFileAtomic } from '@tb/io';
import { zipPieces } from '../../io/src/zip-writer.js';

/** What a checkpoint can hold: dicts, integers below 2^31, and float32 tensors. */
export type CheckpointContent = { [key: string]: CheckpointContent | HostTensor | number };

/**
 * Writes a checkpoint as `torch.save` of PyTorch 1.6 and later does: a zip archive, not compressed, of a pickle of protocol 2
 * and one member per tensor.
 */
export async function writeTorchCheckpoint(path: string, content: CheckpointContent): Promise<void> {
  const storages: Uint8Array[] = [];
  const pickle = Buffer.concat([Buffer.from([0x80, 2]), ...pickled(content, storages), Buffer.from('.')]);
  const member = (name: string, bytes: Uint8Array) => ({
    name: `checkpoint/${name}`,
    size: bytes.length,
    pieces: [bytes],
  });
  const members = [
    member('data.pkl', pickle),
    ...storages.map((bytes, index) => member(`data/${index}`, bytes)),
    member('version', Buffer.from('3\n')),
  ];
  await writeFileAtomic(path, zipPieces(members, false));
}

function pickled(value: CheckpointContent[string], storages: Uint8Array[]): Buffer[] {
  if (typeof value === 'number') return [integer(value)];
  if (isTensor(value)) return pickledTensor(value, storages);
  const entries = Object.entries(value).flatMap(([key, child]) => [text(key), ...pickled(child, storages)]);
  return [Buffer.from('}('), ...entries, Buffer.from('u')]; // EMPTY_DICT MARK … SETITEMS
}

const isTensor = (value: CheckpointContent | HostTensor): value is HostTensor => ArrayBuffer.isView(value.data);

/** `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, requires_grad=False, backward_hooks=OrderedDict())` */
function pickledTensor({ shape, data }: HostTensor, storages: Uint8Array[]): Buffer[] {
  const key = storages.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) - 1;
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const storage = [text('storage'), global('torch', 'FloatStorage'), text(String(key)), text('cpu')];
  return [
    global('torch._utils', '_rebuild_tensor_v2'),
    Buffer.from('('),
    ...tuple([...storage, integer(data.length)]),
    Buffer.from('Q'), // BINPERSID
    integer(0),
    ...tuple(shape.map(integer)),
    ...tuple(strides.map(integer)),
    Buffer.from([0x89]), // NEWFALSE
    global('collections', 'OrderedDict'),
    Buffer.from(')RtR'), // EMPTY_TUPLE REDUCE TUPLE REDUCE
  ];
}

const tuple = (items: readonly Buffer[]) => [Buffer.from('('), ...items, Buffer.from('t')];

const global = (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`);

function integer(value: number): Buffer {
  const bytes = Buffer.from('J\0\0\0\0', 'latin1'); // BININT
  bytes.writeInt32LE(value, 1);
  return bytes;
}

function text(value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(value));
  return Buffer.concat([Buffer.from('X'), length, Buffer.from(value)]); // BINUNICODE
}
