import type { HostTensor } from './host-tensor.js';
import { quoted } from './printable.js';

/** What an unpickled file is made of. Tuples and lists are arrays, dicts are Maps; the rest are the classes below. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | object;

/** A Python class or function that the file names. It is never looked up, only remembered as `module.name`. */
export class PickledGlobal {
  constructor(readonly name: string) {}
}

/**
 * An instance of a Python class unknown to the reader (an `argparse.Namespace`, say), or the result of an unknown function,
 * kept as the data that the file holds about it. Nothing of the class or function is run.
 */
export class PickledObject {
  /** What `__setstate__` or the attribute dictionary would have received. */
  state: PickleValue = null;
  /** Items of a subclass of dict. */
  readonly entries = new Map<PickleValue, PickleValue>();
  /** Items of a subclass of list or set. */
  readonly items: PickleValue[] = [];

  constructor(
    /** `module.name` of the class or function. */
    readonly className: string,
    /** Arguments of its constructor, or of the call. */
    readonly constructorArguments: PickleValue[],
  ) {}
}

/** Tensor data that stays in the file until `read` is called (and as long as the checkpoint is open). */
export class CheckpointTensor {
  constructor(
    /** Element type: a `DType`, or a name such as `C64` or `F8_E4M3` for elements that cannot be read. */
    readonly dtype: string,
    readonly shape: number[],
    /** @throws FileFormatError when the tensor is damaged, or of a kind that cannot be read */
    readonly read: () => Promise<HostTensor>,
    /** Why the tensor cannot be read, and what to do, as the end of a sentence; undefined for one that can. */
    readonly unreadable?: string,
  ) {}
}

/** A fault at `offset` bytes from the start of the pickle. */
export class PickleFault extends Error {
  constructor(
    readonly offset: number,
    readonly reason: string,
    /** The pickle is not damaged, but of a kind that is not supported. */
    readonly isSound = false,
  ) {
    super(reason);
  }
}

/** A fault that more bytes could repair: the pickle reaches beyond those that were given. */
export class PickleEndsEarly extends PickleFault {}

/** A refusal of the code that gives meaning to globals; the unpickler adds the offset. */
export class Refusal extends Error {
  constructor(
    reason: string,
    readonly isSound = false,
  ) {
    super(reason);
  }
}

/** A value for a message: numbers and short texts as they are, everything else by its kind, never what is inside. */
export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? String(value) : 'a huge integer';
  if (typeof value !== 'object') return String(value);
  if (value instanceof PickledGlobal) return quoted(value.name);
  if (value instanceof PickledObject) return `an object of ${quoted(value.className)}`;
  if (Array.isArray(value)) return 'a tuple or list';
  return value instanceof Map ? 'a dict' : 'an object';
}

/** The most axes that a tensor or array may have; NumPy's limit. */
const MOST_AXES = 64;

export function isLength(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** @throws Refusal unless `value` is a tuple of at most 64 lengths */
export function requireLengths(what: string, value: PickleValue | undefined): number[] {
  if (!Array.isArray(value)) throw new Refusal(`${what} must be a tuple of lengths, got ${describe(value)}`);
  if (value.length > MOST_AXES) throw new Refusal(`${what} has ${value.length} axes, more than ${MOST_AXES}`);
  const wrong = value.find((length) => !isLength(length));
  if (wrong !== undefined) throw new Refusal(`${what} must be a tuple of lengths, but one is ${describe(wrong)}`);
  return [...value] as number[];
}
