import type { HostTensor } from './host-tensor.js';
import { NumpyArray, NumpyDType } from './numpy-globals.js';
import { CheckpointTensor, type PickledGlobal, PickledObject, type PickleValue, Refusal } from './pickle-values.js';
import { TorchStorage } from './torch-globals.js';

/**
 * What a checkpoint holds, in terms of JavaScript; `Tensor` is `CheckpointTensor` until the tensors are read and
 * `HostTensor` afterwards.
 *
 * None is null, an integer beyond 2^53 a bigint, bytes a Uint8Array, tuples, lists and sizes are arrays. A dict whose
 * keys are all strings or all integers is a record with a null prototype, any other a Map. NumPy arrays are HostTensors.
 * Objects of other classes are `PickledObject`s: data, never code.
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
  | PickledGlobal
  | PickledObject
  | CheckpointValue<Tensor>[]
  | Map<CheckpointValue<Tensor>, CheckpointValue<Tensor>>
  | Set<CheckpointValue<Tensor>>
  | { [key: string]: CheckpointValue<Tensor> };

const DEEPEST = 256;

/**
 * Turns the unpickler's values into `CheckpointValue`s. Each object is visited once, so shared objects stay shared and
 * cycles stay cycles.
 */
export function toCheckpointValue(root: PickleValue): CheckpointValue<CheckpointTensor> {
  const made = new Map<PickleValue, CheckpointValue<CheckpointTensor>>();

  function convert(value: PickleValue, depth: number): CheckpointValue<CheckpointTensor> {
    if (depth > DEEPEST) throw new Refusal(`values are nested deeper than ${DEEPEST} levels`);
    const known = made.get(value);
    if (known !== undefined) return known;
    if (Array.isArray(value)) return convertList(value, depth);
    if (value instanceof Map) return convertDict(value, depth);
    if (value instanceof Set) return convertSet(value, depth);
    if (value instanceof PickledObject) return convertObject(value, depth);
    return convertLeaf(value);
  }

  function fill<T extends CheckpointValue<CheckpointTensor>>(value: PickleValue, result: T, add: (to: T) => void): T {
    made.set(value, result);
    add(result);
    return result;
  }

  function convertList(items: PickleValue[], depth: number): CheckpointValue<CheckpointTensor> {
    return fill(items, [] as CheckpointValue<CheckpointTensor>[], (list) => {
      for (const each of items) list.push(convert(each, depth + 1));
    });
  }

  function convertSet(items: Set<PickleValue>, depth: number): CheckpointValue<CheckpointTensor> {
    return fill(items, new Set<CheckpointValue<CheckpointTensor>>(), (set) => {
      for (const each of items) set.add(convert(each, depth + 1));
    });
  }

  function convertDict(dict: Map<PickleValue, PickleValue>, depth: number): CheckpointValue<CheckpointTensor> {
    const keys = [...dict.keys()];
    const plain = keys.every((key) => typeof key === 'string') || keys.every((key) => Number.isSafeInteger(key));
    if (!plain) {
      return fill(dict, new Map<CheckpointValue<CheckpointTensor>, CheckpointValue<CheckpointTensor>>(), (map) => {
        for (const [key, value] of dict) map.set(convert(key, depth + 1), convert(value, depth + 1));
      });
    }
    if (dict.has('__proto__')) throw new Refusal('dict key "__proto__" is not allowed');
    return fill(dict, Object.create(null) as { [key: string]: CheckpointValue<CheckpointTensor> }, (record) => {
      for (const [key, value] of dict) record[String(key)] = convert(value, depth + 1);
    });
  }

  function convertObject(object: PickledObject, depth: number): PickledObject {
    const result = new PickledObject(object.className, []);
    return fill(object, result, () => {
      for (const each of object.constructorArguments) result.constructorArguments.push(convert(each, depth + 1));
      for (const each of object.items) result.items.push(convert(each, depth + 1));
      for (const [key, value] of object.entries) result.entries.set(convert(key, depth + 1), convert(value, depth + 1));
      result.state = convert(object.state, depth + 1);
    });
  }

  return convert(root, 0);
}

function convertLeaf(value: PickleValue): CheckpointValue<CheckpointTensor> {
  if (value instanceof NumpyArray) {
    if (value.tensor === undefined) throw new Refusal('NumPy array without its state');
    return value.tensor;
  }
  if (value instanceof NumpyDType) return new PickledObject('numpy.dtype', [value.element().dtype]);
  if (value instanceof TorchStorage) throw new Refusal('storage outside a tensor');
  return value as CheckpointValue<CheckpointTensor>;
}

/** The value with every tensor replaced by what `read` gives for it; the rest is copied. */
export async function readTensors(root: CheckpointValue<CheckpointTensor>): Promise<CheckpointValue<HostTensor>> {
  const made = new Map<unknown, CheckpointValue<HostTensor>>();

  async function visit(value: CheckpointValue<CheckpointTensor>): Promise<CheckpointValue<HostTensor>> {
    const known = made.get(value);
    if (known !== undefined) return known;
    if (value instanceof CheckpointTensor) {
      const tensor = await value.read();
      made.set(value, tensor);
      return tensor;
    }
    return visitContainer(value);
  }

  async function visitContainer(value: CheckpointValue<CheckpointTensor>): Promise<CheckpointValue<HostTensor>> {
    if (Array.isArray(value)) {
      const list: CheckpointValue<HostTensor>[] = [];
      made.set(value, list);
      for (const each of value) list.push(await visit(each));
      return list;
    }
    if (value instanceof Map) {
      const map = new Map<CheckpointValue<HostTensor>, CheckpointValue<HostTensor>>();
      made.set(value, map);
      for (const [key, each] of value) map.set(await visit(key), await visit(each));
      return map;
    }
    if (isRecord(value)) {
      const record: { [key: string]: CheckpointValue<HostTensor> } = Object.create(null);
      made.set(value, record);
      for (const [key, each] of Object.entries(value)) record[key] = await visit(each);
      return record;
    }
    return value as CheckpointValue<HostTensor>; // objects of unknown classes keep their tensors unread
  }

  return visit(root);
}

/** Whether a value is the record that a dict with string or integer keys became. */
export function isRecord<Tensor>(value: CheckpointValue<Tensor>): value is { [key: string]: CheckpointValue<Tensor> } {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
}
