import { expect, it } from 'vitest';
import { type CheckpointOptions, readCheckpoint } from './checkpoint.js';
import { FileFormatError } from './file-format-error.js';
import { PickledObject } from './pickle-values.js';
import { zipPieces } from './zip-writer.js';

// Pickles in opcodes, as `pickletools.dis` names them.
const byte = (...values: number[]) => Uint8Array.from(values);
const PROTO = byte(0x80, 2);
const STOP = byte(0x2e);
const MARK = byte(0x28);
const EMPTY_LIST = byte(0x5d);
const EMPTY_TUPLE = byte(0x29);
const TUPLE = byte(0x74);
const TUPLE1 = byte(0x85);
const REDUCE = byte(0x52);
const BUILD = byte(0x62);
const POP = byte(0x30);
const APPEND = byte(0x61);
const BINPERSID = byte(0x51);
const put = (index: number) => byte(0x71, index);
const get = (index: number) => byte(0x68, index);
const text = (value: string) => join(byte(0x8c, value.length), ascii(value));
const global = (module: string, name: string) => join(byte(0x63), ascii(`${module}\n${name}\n`));
const int = (value: number) => join(byte(0x8a, 8), new Uint8Array(BigInt64Array.of(BigInt(value)).buffer));
const tuple = (...items: Uint8Array[]) => join(MARK, ...items, TUPLE);

function ascii(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const floats = (count: number, key = '0', type = global('torch', 'FloatStorage')) =>
  join(tuple(text('storage'), type, text(key), text('cpu'), int(count)), BINPERSID);

const tensor = (storage: Uint8Array, offset: number, shape: number[], strides: number[]) => {
  const lengths = (values: number[]) => tuple(...values.map(int));
  const hooks = join(global('collections', 'OrderedDict'), EMPTY_TUPLE, REDUCE);
  const args = tuple(storage, int(offset), lengths(shape), lengths(strides), byte(0x89), hooks);
  return join(global('torch._utils', '_rebuild_tensor_v2'), args, REDUCE);
};

/** A checkpoint of this pickle with one storage of four float32 values. */
async function makeCheckpoint(pickle: Uint8Array, byteOrder = 'little'): Promise<Uint8Array> {
  const values = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  const files: [string, Uint8Array][] = [
    ['data.pkl', join(PROTO, pickle, STOP)],
    ['byteorder', ascii(byteOrder)],
    ['data/0', values],
  ];
  const members = files.map(([name, bytes]) => ({ name: `archive/${name}`, size: bytes.length, pieces: [bytes] }));
  const pieces: Uint8Array[] = [];
  for await (const piece of zipPieces(members, false)) pieces.push(piece);
  return join(...pieces);
}

const read = async (pickle: Uint8Array, options?: CheckpointOptions) =>
  readCheckpoint(await makeCheckpoint(pickle), options);

it('reads the sound ones', async () => {
  const value = await read(tensor(floats(4), 1, [3], [1]));
  expect(value).toEqual({ dtype: 'F32', shape: [3], data: Float32Array.of(2, 3, 4) });
  expect(await read(join(EMPTY_LIST, text('a'), APPEND))).toEqual(['a']);
});

it('keeps cycles and shared objects', async () => {
  const cycle = (await read(join(EMPTY_LIST, put(0), get(0), APPEND))) as unknown[];
  expect(cycle[0]).toBe(cycle);
  // Sixty lists, each holding the one before it twice: 2^60 paths, 60 objects.
  const doubling = Array.from({ length: 60 }, (_, i) =>
    join(POP, EMPTY_LIST, put(i + 1), get(i), APPEND, get(i), APPEND),
  );
  const shared = (await read(join(EMPTY_LIST, put(0), ...doubling))) as unknown[][];
  expect(shared[0]).toBe(shared[1]);
});

it.each<[string, Uint8Array, RegExp]>([
  [
    'a call of eval',
    join(global('builtins', 'eval'), text('1'), TUPLE1, REDUCE),
    /builtins\.eval is not on the allow-/,
  ],
  ['a call of what is not a global', join(text('print'), EMPTY_TUPLE, REDUCE), /calls "print", which is not a global/],
  ['a storage that is missing', tensor(floats(4, '7'), 0, [4], [1]), /storage "7" is not in the archive/],
  ['a storage of another size', tensor(floats(5), 0, [4], [1]), /has 16 bytes instead of 20/],
  ['a tensor beyond its storage', tensor(floats(4), 1, [4], [1]), /reaches byte 20 of a storage of 16/],
  ['strides beyond the storage', tensor(floats(4), 0, [2, 2], [3, 1]), /reaches byte 20/],
  ['strides that overflow', tensor(floats(4), 0, [2 ** 40, 2], [2 ** 40, 1]), /impossibly large/],
  ['a negative offset', tensor(floats(4), -1, [4], [1]), /malformed storage offset/],
  ['a negative stride', tensor(floats(4), 3, [4], [-1]), /tensor strides must be/],
  ['fewer strides than axes', tensor(floats(4), 0, [2, 2], [1]), /more axes than strides/],
  ['a tensor of 2^40 equal elements', tensor(floats(4), 0, [2 ** 40], [0]), /raise maxBytes/],
  ['values nested without end', join(...Array(5000).fill(EMPTY_LIST), ...Array(4999).fill(APPEND)), /nested deeper/],
  ['a value from an empty stack', APPEND, /empty stack/],
  ['values left over', join(EMPTY_LIST, EMPTY_LIST), /left over/],
  ['a memo entry that does not exist', get(3), /memo entry 3/],
  ['a mark that is missing', TUPLE, /lacks a mark/],
  ['text longer than the file', byte(0x58, 0xff, 0xff, 0xff, 0xff), /ends too early/],
  ['a length of 2^63', byte(0x8d, 0, 0, 0, 0, 0, 0, 0, 0x80), /impossible length/],
  ['text that is not UTF-8', byte(0x8c, 1, 0xff), /not valid UTF-8/],
  ['an integer of 4 GiB', byte(0x8b, 0xff, 0xff, 0xff, 0xff), /integer of 4294967295 bytes/],
  ['an extension code', byte(0x82, 1), /unsupported pickle opcode 0x82/],
  ['an older protocol', byte(0x80, 0), /protocol 0/],
  ['a __proto__ key', join(byte(0x7d), text('__proto__'), EMPTY_LIST, byte(0x73)), /"__proto__" is not allowed/],
  ['state set on text', join(text('a'), EMPTY_TUPLE, BUILD), /state of what has none/],
])('refuses %s', async (_, pickle, reason) => {
  const error = await read(pickle).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.reason).toMatch(reason);
  expect(error.offset).toBeGreaterThanOrEqual(0);
});

const call = (target: Uint8Array, ...args: Uint8Array[]) => join(target, tuple(...args), REDUCE);
const getattr = global('builtins', 'getattr');

it.each<[string, Uint8Array]>([
  ['a function', call(global('posix', 'system'), text('x'))],
  ['an attribute of a function', call(call(getattr, global('os', 'system'), text('__call__')), text('x'))],
  ['an attribute of a builtin', call(call(getattr, global('builtins', 'eval'), text('__call__')), text('x'))],
  ['a function of a submodule', call(global('urllib.request', 'urlopen'), text('x'))],
  ['a partial function', call(call(global('functools', 'partial'), global('os', 'system'), text('x')))],
  ['a method of an object', call(call(getattr, call(global('pathlib', 'Path'), text('x')), text('touch')))],
  ['the result of a call', call(call(global('operator', 'methodcaller'), text('system')), text('x'))],
])('refuses %s that would run code, and keeps it as data when it is asked to', async (_, pickle) => {
  await expect(read(pickle)).rejects.toMatchObject({
    isSound: true,
    reason: expect.stringMatching(/is not on the allow-list: the file asks Python to run .* Nothing was run/),
  });
  expect(await read(pickle, { unknownCalls: 'keep' })).toBeInstanceOf(PickledObject);
});

it.each([
  ['pkgutil', 'resolve_name'],
  ['_io', 'FileIO'],
  ['trace', 'Trace.runctx'],
  ['idlelib.run', 'Executive.runcode'],
  ['lib2to3.pgen2.grammar', 'Grammar.loads'],
  ['torch.utils.collect_env', 'run'],
  ['torch.fx.experimental.symbolic_shapes', 'ShapeEnv.evaluate_guards_expression'],
  ['torch._inductor.codecache', 'compile_file'],
  ['torch.distributed.rpc.internal', '_internal_rpc_pickler.deserialize'],
  ['numpy.f2py.crackfortran', 'getlincoef'],
  ['uuid', '_get_command_stdout'],
  ['logging.config', 'fileConfig'],
  ['pathlib._local', 'PosixPath.write_text'],
])('refuses %s.%s, which was published as an attack', async (module, name) => {
  await expect(read(call(global(module, name), text('x')))).rejects.toThrow(/the file asks Python to run it/);
});

it.each([
  ['pathlib', 'PosixPath'],
  ['uuid', 'UUID'],
  ['torch.distributions.normal', 'Normal'],
  ['numpy.random._pickle', '__randomstate_ctor'],
  ['logging', 'getLogger'],
])('keeps %s.%s as data, though functions near it run code', async (module, name) => {
  expect(await read(call(global(module, name), text('x')))).toMatchObject({ className: `${module}.${name}` });
});

it.each<[string, Uint8Array, string]>([
  [
    'a method of a class',
    call(call(getattr, global('zoneinfo', 'ZoneInfo'), text('_unpickle')), text('UTC')),
    'zoneinfo.ZoneInfo._unpickle',
  ],
  ['a class that is called by keywords', call(call(global('functools', 'partial'), global('a', 'B'))), 'a.B'],
  ['a method of the host', call(global('a', 'constructor')), 'a.constructor'],
])('keeps the result of %s as data', async (_, pickle, className) => {
  expect(await read(pickle)).toMatchObject({ className });
});

it('refuses to repeat a call on one long list for ever', async () => {
  const items = join(EMPTY_LIST, put(0), MARK, ...Array(20_000).fill(byte(0x4b, 1)), byte(0x65)); // APPENDS
  const calls = Array(20_000).fill(join(global('builtins', 'set'), get(0), TUPLE1, REDUCE, POP));
  await expect(read(join(items, ...calls))).rejects.toThrow(/more memory than a file of its size should/);
});

it('refuses tensors of the other byte order', async () => {
  await expect(readCheckpoint(await makeCheckpoint(EMPTY_LIST, 'big'))).rejects.toThrow('byte order "big"');
});

it('reads an expanded tensor when the caller allows its size', async () => {
  const value = await read(tensor(floats(4), 2, [5, 2], [0, 1]), { maxBytes: 40 });
  expect(value).toMatchObject({ shape: [5, 2], data: Float32Array.of(3, 4, 3, 4, 3, 4, 3, 4, 3, 4) });
});
