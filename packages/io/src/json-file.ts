import { readFile } from 'node:fs/promises';
import { FileFormatError } from './file-format-error.js';
import { fileSystemError } from './file-system-reason.js';
import { quoted } from './printable.js';

/** What a JSON value must look like. `T` is the type of the values that pass. */
export type JsonShape<T> = {
  /** The first fault of a value, as a sentence about `where`; undefined when it has none. */
  fault(value: unknown, where: string): string | undefined;
  readonly type?: T;
};

type TypeOf<S> = S extends JsonShape<infer T> ? T : never;

/**
 * Reads a JSON file and checks what it holds.
 *
 * @throws FileFormatError with the path and what is wrong: no JSON, cut short, or another shape; Error with the path and
 *   the reason when the file cannot be read, which has the system's `code` (`ENOENT` when there is no file)
 */
export async function readJson<T>(path: string, shape: JsonShape<T>): Promise<T> {
  const bytes = await readFile(path).catch((error) => {
    throw fileSystemError(path, 'read', error);
  });
  return parseJson(textOf(bytes, path), shape, path);
}

/**
 * Parses JSON and checks what it holds.
 *
 * @param source - what the messages call it: a path, or `the metadata of <path>`
 * @throws FileFormatError when it is not JSON, or of another shape
 */
export function parseJson<T>(text: string, shape: JsonShape<T>, source: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new FileFormatError(source, undefined, faultOfJson(text, (error as Error).message));
  }
  const fault = shape.fault(value, '');
  if (fault !== undefined) throw new FileFormatError(source, undefined, fault);
  return value as T;
}

function textOf(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes); // without a byte order mark
  } catch {
    throw new FileFormatError(path, undefined, 'is not UTF-8 text');
  }
}

/** Describes the fault, with its place where JavaScript's message has one. */
function faultOfJson(text: string, message: string): string {
  if (text.trim() === '') return 'is empty, not JSON';
  if (/unexpected end|unterminated/i.test(message)) return 'ends in the middle of its JSON: it was cut short';
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined) return 'is not JSON';
  return `is not JSON: line ${text.slice(0, Number(position)).split('\n').length} is malformed`;
}

const subject = (where: string) => (where === '' ? 'it' : where);

function simple<T>(what: string, test: (value: unknown) => boolean): JsonShape<T> {
  return {
    fault: (value, where) => (test(value) ? undefined : `${subject(where)} must be ${what}, but is ${describe(value)}`),
  };
}

/** What a value is, without the values inside it. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === undefined) return 'missing';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? quoted(value) : String(value);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const inside = (where: string, name: string) => {
  if (!/^[\w-]+$/.test(name)) return `${where}[${quoted(name)}]`;
  return where === '' ? name : `${where}.${name}`;
};

const anyList = simple<unknown[]>('a list', Array.isArray);

/** The shapes that `readJson` and `parseJson` check, to be put together: `jsonShape.object({ step: jsonShape.count })`. */
export const jsonShape = {
  /** Any value. */
  anything: { fault: () => undefined } as JsonShape<unknown>,
  /** A list of any values, at which it does not look. */
  anyList,
  text: simple<string>('text', (value) => typeof value === 'string'),
  boolean: simple<boolean>('true or false', (value) => typeof value === 'boolean'),
  /** Any number; JSON has no infinities and no NaN. */
  number: simple<number>('a number', (value) => typeof value === 'number' && Number.isFinite(value)),
  /** An integer that a double holds exactly. */
  integer: simple<number>('an integer', (value) => Number.isSafeInteger(value)),
  /** An integer from 0. */
  count: simple<number>('a count (0, 1, 2, …)', (value) => Number.isSafeInteger(value) && (value as number) >= 0),
  /** One of some values, such as the name of a format. */
  oneOf<const Values extends readonly (string | number | boolean | null)[]>(...values: Values) {
    const what = values.map((value) => JSON.stringify(value)).join(' or ');
    return simple<Values[number]>(what, (value) => values.includes(value as Values[number]));
  },
  /** Values of a shape that also pass a test. `what` completes "must be …". */
  passing<T>(shape: JsonShape<T>, what: string, test: (value: T) => boolean): JsonShape<T> {
    const tested = simple<T>(what, (value) => test(value as T));
    return { fault: (value, where) => shape.fault(value, where) ?? tested.fault(value, where) };
  },
  /** A value that may be missing or null. */
  optional<T>(shape: JsonShape<T>): JsonShape<T | null | undefined> {
    return { fault: (value, where) => (value === undefined || value === null ? undefined : shape.fault(value, where)) };
  },
  list<T>(items: JsonShape<T>): JsonShape<T[]> {
    return {
      fault(value, where) {
        if (!Array.isArray(value)) return anyList.fault(value, where);
        return firstFault(value.map((item, place) => [item, items, `${where}[${place}]`]));
      },
    };
  },
  /** An object with values of one shape under any names. */
  record<T>(values: JsonShape<T>): JsonShape<Record<string, T>> {
    return {
      fault(value, where) {
        if (!isObject(value)) return `${subject(where)} must be an object, but is ${describe(value)}`;
        return firstFault(Object.entries(value).map(([name, item]) => [item, values, inside(where, name)]));
      },
    };
  },
  /** An object that has at least these fields. */
  object<Fields extends Record<string, JsonShape<unknown>>>(
    fields: Fields,
  ): JsonShape<{ [Name in keyof Fields]: TypeOf<Fields[Name]> }> {
    return {
      fault(value, where) {
        if (!isObject(value)) return `${subject(where)} must be an object, but is ${describe(value)}`;
        const field = (name: string) => (Object.hasOwn(value, name) ? value[name] : undefined);
        return firstFault(Object.keys(fields).map((name) => [field(name), fields[name]!, inside(where, name)]));
      },
    };
  },
};

function firstFault(checks: [value: unknown, shape: JsonShape<unknown>, where: string][]): string | undefined {
  for (const [value, shape, where] of checks) {
    const fault = shape.fault(value, where);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
