import { bytesPerElement, type DType, elementCount } from './host-tensor.js';
import { NumpyArray, NumpyDType, numpyGlobals } from './numpy-globals.js';
import { CheckpointTensor, PickledGlobal, PickledObject, type PickleValue, Refusal } from './pickle-values.js';
import { extentOf, type StridedLayout } from './strided.js';
import type { PickleHost } from './unpickle.js';

/** A tensor's elements in a checkpoint: `offset` and the layout's strides count elements of `dtype`. */
export type StoredTensor = { dtype: DType; storage: TorchStorage; offset: number; layout: StridedLayout };

/**
 * One storage of a checkpoint, or a part of one (before PyTorch 0.4); `dtype` is undefined for bytes without a type,
 * `begin` is where the part begins, in bytes.
 */
export class TorchStorage {
  constructor(
    readonly key: string,
    readonly dtype: DType | undefined,
    readonly byteLength: number,
    readonly begin = 0,
  ) {}
}

export type TorchHostOptions = {
  /** Called for every reference to a storage; throws `Refusal` where it does not exist or has another size. */
  openStorage(storage: TorchStorage): void;
  makeTensor(stored: StoredTensor): CheckpointTensor;
  /** Keep the results of calls to unknown functions as placeholders instead of refusing them. */
  keepUnknownCalls: boolean;
};

const storageTypes: Record<string, DType> = {
  'torch.DoubleStorage': 'F64',
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};

const untypedStorages = ['torch.storage.UntypedStorage', 'torch.UntypedStorage'];

const dtypeTags: Record<string, DType> = {
  'torch.float64': 'F64',
  'torch.float32': 'F32',
  'torch.float16': 'F16',
  'torch.bfloat16': 'BF16',
  'torch.int64': 'I64',
  'torch.int32': 'I32',
  'torch.int16': 'I16',
  'torch.int8': 'I8',
  'torch.uint64': 'U64',
  'torch.uint32': 'U32',
  'torch.uint16': 'U16',
  'torch.uint8': 'U8',
  'torch.bool': 'BOOL',
};

/** Calls whose results carry no tensors: they are kept as placeholders. */
const harmlessCalls = new Set([
  'torch.device',
  'pathlib.PosixPath',
  'pathlib.WindowsPath',
  'pathlib.PurePosixPath',
  'pathlib.PureWindowsPath',
  'datetime.datetime',
  'datetime.date',
  'datetime.timedelta',
  'uuid.UUID',
  'decimal.Decimal',
]);

type Call = (args: PickleValue[]) => PickleValue;

/** The allow-list: what each global that may be called stands for here. Nothing of Python is run. */
export function createTorchHost(options: TorchHostOptions): PickleHost {
  const calls: Record<string, Call> = {
    ...containerCalls,
    ...numpyGlobals,
    'torch.Size': ([sizes]) => requireLengths('torch.Size', sizes),
    'torch._utils._rebuild_tensor': (args) => rebuildTensor(options, args),
    'torch._utils._rebuild_tensor_v2': (args) => rebuildTensor(options, args),
    'torch._utils._rebuild_tensor_v3': (args) => rebuildTensor(options, args, requireDType(args[6])),
    'torch._utils._rebuild_parameter': ([data]) => requireTensor(data),
    'torch._utils._rebuild_parameter_with_state': ([data]) => requireTensor(data),
    // (function, type, arguments, state): a tensor with Python attributes; the attributes are dropped.
    'torch._tensor._rebuild_from_type_v2': ([target, , args]) => {
      if (!(target instanceof PickledGlobal) || !Array.isArray(args)) throw new Refusal('malformed tensor subclass');
      if (!tensorRebuilders.has(target.name)) throw new Refusal(`global ${target.name} is not on the allow-list`);
      return calls[target.name]!(args);
    },
  };
  return {
    persistentLoad: (id) => loadPersistent(options, id),
    call: ({ name }, args) => {
      if (Object.hasOwn(calls, name)) return calls[name]!(args);
      if (harmlessCalls.has(name)) return new PickledObject(name, args);
      const rebuildsTensors = name.startsWith('torch._') || name.startsWith('torch.storage.');
      if (options.keepUnknownCalls && !rebuildsTensors) return new PickledObject(name, args);
      throw new Refusal(`global ${name} is not on the allow-list: calling it is refused`);
    },
    setState,
  };
}

const tensorRebuilders = new Set(
  ['_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3'].map((name) => `torch._utils.${name}`),
);

const asDict: Call = ([items]) => {
  if (items === undefined) return new Map();
  if (items instanceof Map) return new Map(items);
  if (!Array.isArray(items)) throw new Refusal('dict made from what is no list of pairs');
  return new Map(
    items.map((pair) => {
      if (Array.isArray(pair) && pair.length === 2) return pair as [PickleValue, PickleValue];
      throw new Refusal('dict made from what is no list of pairs');
    }),
  );
};

const asSet: Call = ([items = []]) => {
  if (!Array.isArray(items)) throw new Refusal('set made from what is no list');
  return new Set(items);
};

/** Protocol 2 writes bytes as text that maps to them one to one. */
const asBytes: Call = ([text = '', encoding = 'latin1']) => {
  if (text instanceof Uint8Array) return text;
  const codes = typeof text === 'string' && encoding === 'latin1' ? Array.from(text, (c) => c.charCodeAt(0)) : [256];
  if (codes.some((code) => code > 255)) throw new Refusal('bytes made from what is no latin1 text');
  return Uint8Array.from(codes);
};

const containerCalls: Record<string, Call> = Object.fromEntries([
  ['collections.OrderedDict', asDict],
  ['collections.Counter', asDict],
  ['collections.defaultdict', ([, items]: PickleValue[]) => asDict(items === undefined ? [] : [items])],
  ['_codecs.encode', asBytes],
  ...['builtins', '__builtin__'].flatMap((module): [string, Call][] => [
    [`${module}.dict`, asDict],
    [`${module}.set`, asSet],
    [`${module}.frozenset`, asSet],
    [`${module}.bytes`, asBytes],
    [`${module}.bytearray`, asBytes],
  ]),
]);

/** Dicts, tensors and sizes may carry Python attributes (a state dict its `_metadata`): they are dropped. */
function setState(target: PickleValue, state: PickleValue): void {
  if (target instanceof NumpyArray || target instanceof NumpyDType) target.setState(state);
  else if (!(target instanceof Map || target instanceof CheckpointTensor || target instanceof Set)) {
    throw new Refusal('pickle sets the state of what has none');
  }
}

function loadPersistent(options: TorchHostOptions, id: PickleValue): PickleValue {
  // Before PyTorch 1.6 a module's class came with its source code: the class stays a name, the code is dropped.
  if (Array.isArray(id) && id[0] === 'module' && id[1] instanceof PickledGlobal) return id[1];
  return loadStorage(options, id);
}

function loadStorage(options: TorchHostOptions, id: PickleValue): TorchStorage {
  const [kind, type, key, , count, view = null] = Array.isArray(id) ? id : [];
  const valid = kind === 'storage' && type instanceof PickledGlobal && typeof key === 'string' && isLength(count);
  if (!valid) throw new Refusal('malformed reference to a storage');
  const untyped = untypedStorages.includes(type.name);
  if (!untyped && !Object.hasOwn(storageTypes, type.name)) throw new Refusal(`unsupported storage ${type.name}`);
  const dtype = untyped ? undefined : storageTypes[type.name];
  const width = dtype === undefined ? 1 : bytesPerElement(dtype);
  const storage = new TorchStorage(key, dtype, count * width);
  options.openStorage(storage);
  if (view === null) return storage;
  const [, first, length] = Array.isArray(view) ? view : [];
  if (!isLength(first) || !isLength(length) || first + length > count) throw new Refusal('malformed part of a storage');
  return new TorchStorage(key, dtype, length * width, first * width);
}

function rebuildTensor(options: TorchHostOptions, args: PickleValue[], dtypeTag?: DType): CheckpointTensor {
  const [storage, offset, sizes, steps] = args;
  if (!(storage instanceof TorchStorage)) throw new Refusal('tensor without a storage');
  const dtype = dtypeTag ?? storage.dtype ?? 'U8';
  const layout = { shape: requireLengths('tensor shape', sizes), strides: requireLengths('tensor strides', steps) };
  if (layout.shape.length !== layout.strides.length) throw new Refusal('tensor with more axes than strides, or fewer');
  if (!isLength(offset)) throw new Refusal('tensor with a malformed storage offset');
  const extent = extentOf(layout);
  const last = (offset + extent) * bytesPerElement(dtype);
  if (elementCount(layout.shape) === undefined || !Number.isSafeInteger(last)) {
    throw new Refusal(`tensor of shape [${layout.shape}] is impossibly large`);
  }
  if (extent > 0 && last > storage.byteLength) {
    throw new Refusal(`tensor of shape [${layout.shape}] reaches byte ${last} of a storage of ${storage.byteLength}`);
  }
  return options.makeTensor({ dtype, storage, offset, layout });
}

function isLength(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function requireLengths(what: string, value: PickleValue | undefined): number[] {
  if (Array.isArray(value) && value.every(isLength)) return [...value] as number[];
  throw new Refusal(`${what} must be a tuple of lengths`);
}

function requireDType(tag: PickleValue | undefined): DType {
  const name = tag instanceof PickledGlobal ? tag.name : 'nothing';
  if (Object.hasOwn(dtypeTags, name)) return dtypeTags[name]!;
  throw new Refusal(`unsupported tensor dtype ${name}`);
}

function requireTensor(value: PickleValue | undefined): CheckpointTensor {
  if (value instanceof CheckpointTensor) return value;
  throw new Refusal('parameter without a tensor');
}
