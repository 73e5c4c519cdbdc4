import { type PickleValue, Refusal } from './pickle-values.js';

const BASE_BYTES = 48 * 2 ** 20;
const BYTES_PER_BYTE = 16;

/** How many dict keys whose hashes a file can choose to be equal are accepted, each big integer counting for ten. */
const MOST_AWKWARD_KEYS = 10_000;

/** What values take in memory, in bytes, their later conversion included. Measured with Node.js 20, and rounded up. */
export const COST = {
  operation: 12,
  number: 16,
  text: 48,
  bytes: 240,
  list: 144,
  dict: 560,
  global: 160,
  object: 900,
  memo: 16,
  memoOutOfOrder: 120,
  item: 16,
  entry: 120,
} as const;

/**
 * The memory that the values of one pickle may take, by estimate: it follows the size of the file that lies on the disk, not
 * what the pickle unpacks to. Every operation costs some, so time has a bound too.
 */
export class PickleBudget {
  private bytes: number;
  private awkwardKeys = 0;

  constructor(fileSize: number) {
    this.bytes = BASE_BYTES + BYTES_PER_BYTE * fileSize;
  }

  /** @throws Refusal when the budget is used up */
  spend(bytes: number): void {
    this.bytes -= bytes;
    if (this.bytes < 0) throw new Refusal('its structure takes far more memory than a file of its size should');
  }

  /** What a call may copy of an argument. */
  spendOn(value: PickleValue): void {
    if (typeof value === 'string') this.spend(2 * value.length);
    else if (value instanceof Uint8Array) this.spend(value.length);
    else if (Array.isArray(value)) this.spend(COST.entry * value.length);
    else if (value instanceof Map || value instanceof Set) this.spend(COST.entry * value.size);
  }

  /** Floats and large integers can be chosen so that their hashes are equal: too many of them would take for ever. */
  spendOnKey(key: PickleValue): void {
    if (typeof key === 'bigint') this.awkwardKeys += 10;
    else if (typeof key === 'number' && (key | 0) !== key) this.awkwardKeys += 1;
    if (this.awkwardKeys > MOST_AWKWARD_KEYS) throw new Refusal('too many dict keys are floats or large integers');
  }
}
