import { runsCode } from './code-runners.js';
import type { DType } from './host-tensor.js';
import { bytesPerElement, elementCount, isDType } from './host-tensor.js';
import { NumpyArray, NumpyDType, numpyGlobals } from './numpy-globals.js';
import type { PickleBudget } from './pickle-budget.js';
import {
  CheckpointTensor,
  describe,
  isLength,
  PickledGlobal,
  PickledObject,
  type PickleValue,
  Refusal,
  requireLengths,
} from './pickle-values.js';
import { listed, quoted } from './printable.js';
import { extentOf, type StridedLayout } from './strided.js';
import { adviceForDType, elementsOfStorage, nameOfDType } from './torch-types.js';
import type { PickleHost } from './unpickle.js';

/** A tensor's elements in a checkpoint: `offset` and the layout's strides count elements of `dtype`. */
export type StoredTensor = { dtype: DType; storage: TorchStorage; offset: number; layout: StridedLayout };

/** One storage of a checkpoint, or a part of one (before PyTorch 0.4). */
export class TorchStorage {
  constructor(
    readonly key: string,
    /** Name of its class, `torch.FloatStorage`. */
    readonly className: string,
    /** Number of elements; of bytes where they have no type. */
    readonly count: number,
    /** Where the part begins, in elements. */
    readonly first = 0,
  ) {}

  /** Element type; undefined for bytes without a type. */
  get dtype(): string | undefined {
    return elementsOfStorage(this.className)?.name;
  }

  /** Bytes of an element; undefined for a type that is not known here. */
  get width(): number | undefined {
    const elements = elementsOfStorage(this.className);
    return elements === undefined ? 1 : elements.width;
  }

  /** Where the part begins, in bytes. */
  get begin(): number {
    return this.first * (this.width ?? 0);
  }

  get byteLength(): number | undefined {
    return this.width === undefined ? undefined : this.count * this.width;
  }
}

/**
 * What to do with calls to functions that are not known here. Nothing is ever run: their results are placeholders.
 * `keep-harmless` refuses the file if such a function would run code in Python, `keep` accepts all, `refuse` none.
 */
export type UnknownCalls = 'keep-harmless' | 'keep' | 'refuse';

export type TorchHostOptions = {
  /** Called for every reference to a storage; throws `Refusal` where it does not exist or has another size. */
  openStorage(storage: TorchStorage): void;
  makeTensor(stored: StoredTensor): CheckpointTensor;
  /** Makes a tensor that cannot be read. */
  makeUnreadable(dtype: string, shape: number[], reason: string): CheckpointTensor;
  unknownCalls: UnknownCalls;
  budget: PickleBudget;
};

type Call = (args: PickleValue[]) => PickleValue;

/** The allow-list: what a call of each global means here. Nothing of Python is run. */
export function createTorchHost(options: TorchHostOptions): PickleHost {
  const calls: Record<string, Call> = {
    ...containerCalls(options.budget),
    ...numpyGlobals,
    'torch.Size': (args) => sizeOf(args),
    'torch._utils._rebuild_tensor': (args) => rebuildTensor(options, args),
    'torch._utils._rebuild_tensor_v2': (args) => rebuildTensor(options, args, { metadata: args[6] }),
    'torch._utils._rebuild_tensor_v3': (args) => rebuildTensor(options, args, { dtype: args[6], metadata: args[7] }),
    'torch._utils._rebuild_parameter': ([data]) => parameterOf(options, data),
    'torch._utils._rebuild_parameter_with_state': ([data]) => parameterOf(options, data),
    'torch._utils._rebuild_meta_tensor_no_storage': (args) => rebuildMetaTensor(options, args),
    // (function, type, arguments, state): a tensor with Python attributes; the attributes are dropped.
    'torch._tensor._rebuild_from_type_v2': ([target, , args]) => {
      if (!(target instanceof PickledGlobal) || !Array.isArray(args)) throw new Refusal('malformed tensor subclass');
      return call(target, args);
    },
  };
  const call = (target: PickleValue, args: PickleValue[]): PickleValue => {
    if (!(target instanceof PickledGlobal)) return callOfValue(options, target, args);
    const { name } = target;
    if (Object.hasOwn(calls, name)) return calls[name]!(args);
    const tensor = unreadableTensor(options, name, args);
    if (tensor !== undefined) return tensor;
    return placeholder(options, name, args);
  };
  return { persistentLoad: (id) => loadPersistent(options, id), call, setState };
}

/** Calls that make values without tensors, and no others: what `refuse` lets pass. */
const harmlessCalls = new Set([
  'torch.device',
  ...['PosixPath', 'WindowsPath', 'PurePosixPath', 'PureWindowsPath'].flatMap((name) => [
    `pathlib.${name}`,
    `pathlib._local.${name}`, // since Python 3.13
  ]),
  ...['datetime', 'date', 'time', 'timedelta', 'timezone'].map((name) => `datetime.${name}`),
  'collections.deque',
  'types.SimpleNamespace',
  'uuid.UUID',
  'decimal.Decimal',
  'fractions.Fraction',
  ...['complex', 'range', 'slice'].map((name) => `builtins.${name}`),
]);

function placeholder({ unknownCalls }: TorchHostOptions, name: string, args: PickleValue[]): PickledObject {
  if (unknownCalls === 'refuse' && !harmlessCalls.has(name))
    throw new Refusal(`${notAllowed(name)}: unknownCalls: 'keep-harmless' reads the rest of the file`, true);
  if (unknownCalls !== 'keep' && runsCode(name))
    throw new Refusal(`${notAllowed(name)}: the file asks Python to run it, ${asAttacksDo}`, true);
  return new PickledObject(name, [...args]);
}

/** Python would call the result of another call, such as a method of an object. */
function callOfValue(options: TorchHostOptions, target: PickleValue, args: PickleValue[]): PickledObject {
  if (!(target instanceof PickledObject)) throw new Refusal(`pickle calls ${describe(target)}, which is not a global`);
  const { className: name, constructorArguments } = target;
  // Python makes instances of classes with keyword arguments by functools.partial(make, cls, …)().
  const [made] = constructorArguments;
  if (name === 'functools.partial' && made instanceof PickledGlobal) return placeholder(options, made.name, args);
  if (options.unknownCalls !== 'keep')
    throw new Refusal(`${notAllowed(name)}: the file asks Python to run what it returns, ${asAttacksDo}`, true);
  return new PickledObject(name, [target, ...args]);
}

const notAllowed = (name: string) => `global ${listed([name])} is not on the allow-list`;

const asAttacksDo = 'as attacks do. Nothing was run; do not load the file in Python';

/** Functions of PyTorch that make tensors of kinds that have no place here, and what to do. */
const tensorKinds: readonly [pattern: RegExp, reason: string][] = [
  [/_rebuild_sparse_/, 'is sparse and cannot be read: save tensor.to_dense()'],
  [/_rebuild_qtensor$/, 'is quantized and cannot be read: save tensor.dequantize()'],
  [/_rebuild_nested_tensor$/, 'is nested and cannot be read: save tensor.to_padded_tensor(0)'],
  [/^torch\._(utils|tensor)\._rebuild_/, 'is of a kind that cannot be read: save tensor.detach().cpu().clone()'],
];

function unreadableTensor(options: TorchHostOptions, name: string, args: PickleValue[]): CheckpointTensor | undefined {
  const reason = tensorKinds.find(([pattern]) => name.startsWith('torch.') && pattern.test(name))?.[1];
  if (reason === undefined) return undefined;
  // A quantized tensor has (storage, offset, shape, …), a sparse one (layout, (indices, …, values, shape, …)).
  const parts = Array.isArray(args[1]) ? args[1] : args;
  const shape = parts.filter((part) => Array.isArray(part)).find((part) => part.length <= 64 && part.every(isLength));
  const stored = parts.findLast((part) => part instanceof TorchStorage || part instanceof CheckpointTensor);
  const dtype = (stored as TorchStorage | CheckpointTensor | undefined)?.dtype ?? 'unknown';
  return options.makeUnreadable(dtype, [...(shape ?? [])] as number[], reason);
}

function sizeOf(args: PickleValue[]): PickleValue {
  return Array.isArray(args[0]) && args[0].every(isLength) ? [...args[0]] : new PickledObject('torch.Size', [...args]);
}

function parameterOf(options: TorchHostOptions, data: PickleValue | undefined): CheckpointTensor {
  if (data instanceof CheckpointTensor) return data;
  return options.makeUnreadable('unknown', [], `is a parameter made of ${describe(data)}, which cannot be read`);
}

/** (dtype, size, stride, requires_grad): a tensor without data. */
function rebuildMetaTensor(options: TorchHostOptions, [dtype, sizes]: PickleValue[]): CheckpointTensor {
  const reason = 'has no data (device "meta"): save the model after its weights were loaded';
  const name = dtype instanceof PickledGlobal ? nameOfDType(dtype.name) : 'unknown';
  return options.makeUnreadable(name, requireLengths('tensor shape', sizes), reason);
}

function containerCalls(budget: PickleBudget): Record<string, Call> {
  const asDict = dictMaker(budget);
  const asSet = setMaker(budget);
  const defaultDict: Call = ([, items]) => asDict(items === undefined ? [] : [items]);
  const calls: [string, Call][] = [
    ['builtins.getattr', (args) => attributeOf('builtins.getattr', args)],
    ['__builtin__.getattr', (args) => attributeOf('__builtin__.getattr', args)],
    ['collections.OrderedDict', asDict],
    ['collections.Counter', asDict],
    ['collections.defaultdict', defaultDict],
    ['_codecs.encode', (args) => bytesOfText(args) ?? new PickledObject('_codecs.encode', [...args])],
  ];
  for (const module of ['builtins', '__builtin__']) {
    const asBytes: Call = (args) => (args.length === 0 ? new Uint8Array(0) : bytesOfText(args)) ?? refuseText();
    calls.push([`${module}.dict`, asDict], [`${module}.set`, asSet], [`${module}.frozenset`, asSet]);
    calls.push([`${module}.bytes`, asBytes], [`${module}.bytearray`, asBytes]);
  }
  return Object.fromEntries(calls);
}

/** An attribute of a class, such as a method that makes instances, is a name too; one of an object is not. */
function attributeOf(getattr: string, args: PickleValue[]): PickledGlobal | PickledObject {
  const [target, attribute] = args;
  const isName = target instanceof PickledGlobal && typeof attribute === 'string' && args.length === 2;
  return isName ? new PickledGlobal(`${target.name}.${attribute}`) : new PickledObject(getattr, [...args]);
}

const dictMaker =
  (budget: PickleBudget): Call =>
  ([items]) => {
    const dict = new Map<PickleValue, PickleValue>();
    if (items === undefined) return dict;
    if (!(items instanceof Map || Array.isArray(items)))
      throw new Refusal('dict made from what is not a list of pairs');
    for (const pair of items) {
      if (!Array.isArray(pair) || pair.length !== 2) throw new Refusal('dict made from what is not a list of pairs');
      budget.spendOnKey(pair[0]!);
      dict.set(pair[0]!, pair[1]!);
    }
    return dict;
  };

const setMaker =
  (budget: PickleBudget): Call =>
  ([items = []]) => {
    if (!(items instanceof Set || Array.isArray(items))) throw new Refusal('set made from what is not a list');
    for (const item of items) budget.spendOnKey(item);
    return new Set(items);
  };

/** Protocol 2 writes bytes as text that maps to them one to one; undefined where it does not. */
function bytesOfText([text, encoding = 'latin1']: PickleValue[]): Uint8Array | undefined {
  if (text instanceof Uint8Array) return text;
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1')) return undefined;
  const bytes = new Uint8Array(text.length);
  let highest = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    highest |= code;
    bytes[i] = code;
  }
  return highest > 0xff ? refuseText() : bytes;
}

function refuseText(): never {
  throw new Refusal('bytes made from what is not latin1 text');
}

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
  const storage = new TorchStorage(key, type.name, count);
  options.openStorage(storage);
  if (view === null) return storage;
  const [, first, length] = Array.isArray(view) ? view : [];
  if (!isLength(first) || !isLength(length) || first + length > count) throw new Refusal('malformed part of a storage');
  return new TorchStorage(key, type.name, length, first);
}

/** What protocols 2 and 3 of `_rebuild_tensor` state beyond the layout. */
type TensorFacts = { dtype?: PickleValue; metadata?: PickleValue };

function rebuildTensor(options: TorchHostOptions, args: PickleValue[], facts: TensorFacts = {}): CheckpointTensor {
  const [storage, offset, sizes, steps] = args;
  const layout = { shape: requireLengths('tensor shape', sizes), strides: requireLengths('tensor strides', steps) };
  if (layout.shape.length !== layout.strides.length) throw new Refusal('tensor with more axes than strides, or fewer');
  if (!isLength(offset)) throw new Refusal('tensor with a malformed storage offset');
  const unreadable = (dtype: string, reason: string) => options.makeUnreadable(dtype, [...layout.shape], reason);
  if (storage instanceof PickledObject)
    return unreadable(
      'unknown',
      `is stored by ${quoted(storage.className)} and cannot be read: save it with torch.save`,
    );
  if (!(storage instanceof TorchStorage)) throw new Refusal('tensor without a storage');
  const { dtype: tag } = facts;
  const dtype = tag instanceof PickledGlobal ? nameOfDType(tag.name) : (storage.dtype ?? 'U8');
  if (!isDType(dtype)) return unreadable(dtype, adviceForDType(dtype));
  if (isLazy(facts.metadata))
    return unreadable(dtype, 'is negated or conjugated lazily and cannot be read: save tensor.resolve_neg()');
  checkExtent(dtype, storage, offset, layout);
  return options.makeTensor({ dtype, storage, offset, layout });
}

/** Whether the elements of a tensor are the stored ones with another sign. */
function isLazy(metadata: PickleValue | undefined): boolean {
  return metadata instanceof Map && (metadata.get('neg') === true || metadata.get('conj') === true);
}

function checkExtent(dtype: DType, storage: TorchStorage, offset: number, layout: StridedLayout): void {
  const extent = extentOf(layout);
  const last = (offset + extent) * bytesPerElement(dtype);
  if (elementCount(layout.shape) === undefined || !Number.isSafeInteger(last)) {
    throw new Refusal(`tensor of shape [${layout.shape}] is impossibly large`);
  }
  const { byteLength } = storage;
  if (byteLength === undefined || (extent > 0 && last > byteLength)) {
    throw new Refusal(`tensor of shape [${layout.shape}] reaches byte ${last} of a storage of ${byteLength}`);
  }
}
