import type { HostTensor } from './host-tensor.js';
import { NumpyArray, NumpyDType } from './numpy-globals.js';
import { CheckpointTensor, type PickledGlobal, PickledObject, type PickleValue, Refusal } from './pickle-values.js';
import { TorchStorage } from './torch-globals.js';

/**
 * What a checkpoint holds, in terms of JavaScript; `Tensor` is `CheckpointTensor` until the tensors are read and
 * `HostTensor` afterwards; tensors that cannot be read stay `CheckpointTensor`s.
 *
 * None is null, an integer beyond 2^53 a bigint, bytes a Uint8Array, tuples, lists and sizes are arrays. A dict whose
 * keys are all strings or all integers is a record with a null prototype, any other a Map. NumPy arrays are HostTensors.
 * Objects of other classes, and the results of unknown functions, are `PickledObject`s: data, never code.
 */
export type CheckpointValue<Tensor> =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tensor
  | HostTensor
  | CheckpointTensor
  | PickledGlobal
  | PickledObject
  | CheckpointValue<Tensor>[]
  | Map<CheckpointValue<Tensor>, CheckpointValue<Tensor>>
  | Set<CheckpointValue<Tensor>>
  | { [key: string]: CheckpointValue<Tensor> };

/** Python itself writes values that are nested no deeper. */
const DEEPEST = 1000;

type Value = CheckpointValue<CheckpointTensor>;

/** What became of each object: shared objects stay shared, and cycles stay cycles. */
type Conversions = Map<object, Value>;

/** Turns the unpickler's values into `CheckpointValue`s. Each object is visited once. */
export function toCheckpointValue(root: PickleValue): CheckpointValue<CheckpointTensor> {
  return convert(new Map(), root, 0);
}

function convert(made: Conversions, value: PickleValue, depth: number): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) throw new Refusal(`values are nested deeper than ${DEEPEST} levels`);
  const before = made.get(value);
  if (before !== undefined) return before;
  if (Array.isArray(value)) return convertList(made, value, depth);
  if (value instanceof Map) return convertDict(made, value, depth);
  if (value instanceof Set) return convertSet(made, value, depth);
  if (value instanceof PickledObject) return convertObject(made, value, depth);
  return convertLeaf(made, value, depth);
}

function convertList(made: Conversions, items: PickleValue[], depth: number): Value {
  const list: Value[] = [];
  made.set(items, list);
  for (const item of items) list.push(convert(made, item, depth + 1));
  return list;
}

function convertSet(made: Conversions, items: Set<PickleValue>, depth: number): Value {
  const set = new Set<Value>();
  made.set(items, set);
  for (const item of items) set.add(convert(made, item, depth + 1));
  return set;
}

function convertDict(made: Conversions, dict: Map<PickleValue, PickleValue>, depth: number): Value {
  if (!hasPlainKeys(dict)) {
    const map = new Map<Value, Value>();
    made.set(dict, map);
    for (const [key, value] of dict) map.set(convert(made, key, depth + 1), convert(made, value, depth + 1));
    return map;
  }
  if (dict.has('__proto__')) throw new Refusal('dict key "__proto__" is not allowed');
  const record: { [key: string]: Value } = Object.create(null);
  made.set(dict, record);
  for (const [key, value] of dict) record[String(key)] = convert(made, value, depth + 1);
  return record;
}

/** Whether the keys are all strings, or all integers. */
function hasPlainKeys(dict: Map<PickleValue, PickleValue>): boolean {
  let [strings, integers] = [0, 0];
  for (const key of dict.keys()) {
    if (typeof key === 'string') strings++;
    else if (Number.isSafeInteger(key)) integers++;
  }
  return strings === dict.size || integers === dict.size;
}

function convertObject(made: Conversions, object: PickledObject, depth: number): PickledObject {
  const result = new PickledObject(object.className, []);
  made.set(object, result);
  const inside = (value: PickleValue) => convert(made, value, depth + 1);
  for (const value of object.constructorArguments) result.constructorArguments.push(inside(value));
  for (const value of object.items) result.items.push(inside(value));
  for (const [key, value] of object.entries) result.entries.set(inside(key), inside(value));
  result.state = inside(object.state);
  return result;
}

function convertLeaf(made: Conversions, value: object, depth: number): Value {
  if (value instanceof NumpyArray) return convertNumpyArray(made, value, depth);
  if (value instanceof NumpyDType) return new PickledObject('numpy.dtype', [value.element()?.dtype ?? value.code]);
  if (value instanceof TorchStorage) return new PickledObject(value.className, [value.count]);
  return value as Value;
}

function convertNumpyArray(made: Conversions, array: NumpyArray, depth: number): Value {
  return array.value instanceof PickledObject ? convert(made, array.value, depth + 1) : array.value;
}

/**
 * Copies a value and replaces every tensor by what it reads. Tensors that cannot be read stay
 * `CheckpointTensor`s, and so do those inside objects of unknown classes.
 */
export async function readTensors(root: CheckpointValue<CheckpointTensor>): Promise<CheckpointValue<HostTensor>> {
  const tensors = new Map<CheckpointTensor, HostTensor>();
  for (const tensor of tensorsIn(root)) tensors.set(tensor, await tensor.read());
  return withTensors(new Map(), tensors, root);
}

/** Every tensor of a value that can be read, once. */
function tensorsIn(root: Value): CheckpointTensor[] {
  const tensors = new Set<CheckpointTensor>();
  const seen = new Set<Value>();
  const open: Value[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (value instanceof CheckpointTensor) {
      if (value.unreadable === undefined) tensors.add(value);
    } else if (typeof value === 'object' && !seen.has(value)) {
      seen.add(value);
      for (const part of [...partsOf(value)].reverse()) open.push(part);
    }
  }
  return [...tensors];
}

function partsOf(value: Value): Iterable<Value> {
  if (Array.isArray(value)) return value;
  if (value instanceof Map) return [...value.keys(), ...value.values()];
  return isRecord(value) ? Object.values(value) : [];
}

function withTensors(
  made: Map<Value, CheckpointValue<HostTensor>>,
  tensors: ReadonlyMap<CheckpointTensor, HostTensor>,
  value: Value,
): CheckpointValue<HostTensor> {
  if (value instanceof CheckpointTensor) return tensors.get(value) ?? value;
  const before = made.get(value);
  if (before !== undefined) return before;
  const inside = (part: Value) => withTensors(made, tensors, part);
  if (Array.isArray(value)) {
    const list: CheckpointValue<HostTensor>[] = [];
    made.set(value, list);
    for (const item of value) list.push(inside(item));
    return list;
  }
  if (value instanceof Map) {
    const map = new Map<CheckpointValue<HostTensor>, CheckpointValue<HostTensor>>();
    made.set(value, map);
    for (const [key, item] of value) map.set(inside(key), inside(item));
    return map;
  }
  if (!isRecord(value)) return value as CheckpointValue<HostTensor>; // objects of unknown classes keep their tensors unread
  const record: { [key: string]: CheckpointValue<HostTensor> } = Object.create(null);
  made.set(value, record);
  for (const [key, item] of Object.entries(value)) record[key] = inside(item);
  return record;
}

/** Whether a value is the record that a dict with string or integer keys became. */
export function isRecord<Tensor>(value: CheckpointValue<Tensor>): value is { [key: string]: CheckpointValue<Tensor> } {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}
