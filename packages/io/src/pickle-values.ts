import type { HostTensor } from './host-tensor.js';

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
 * An instance of a Python class unknown to the reader (an `argparse.Namespace`, say), kept as the data that the file
 * holds about it. Nothing of the class is run.
 */
export class PickledObject {
  /** What `__setstate__` or the attribute dictionary would have received. */
  state: PickleValue = null;
  /** Items of a subclass of dict. */
  readonly entries = new Map<PickleValue, PickleValue>();
  /** Items of a subclass of list. */
  readonly items: PickleValue[] = [];

  constructor(
    /** `module.name` of the class. */
    readonly className: string,
    /** Arguments of its constructor. */
    readonly constructorArguments: PickleValue[],
  ) {}
}

/** Tensor data that stays in the file until `read` is called (and as long as the checkpoint is open). */
export class CheckpointTensor {
  constructor(
    readonly dtype: HostTensor['dtype'],
    readonly shape: number[],
    readonly read: () => Promise<HostTensor>,
  ) {}
}

/** A fault at `offset` bytes from the start of the pickle. */
export class PickleFault extends Error {
  constructor(
    readonly offset: number,
    readonly reason: string,
  ) {
    super(reason);
  }
}

/** A fault that more bytes could mend: the pickle reaches beyond those that were given. */
export class PickleEndsEarly extends PickleFault {}

/** A refusal of the code that gives meaning to globals; the unpickler adds the offset. */
export class Refusal extends Error {}
