import { quoted } from './printable.js';

/** What a safetensors header is made of: objects, arrays, strings and non-negative integers. */
export type HeaderJson = string | number | HeaderJson[] | { [key: string]: HeaderJson };

/** A fault at `offset` bytes from the start of the scanned bytes. */
export class JsonFault extends Error {
  constructor(
    readonly offset: number,
    readonly reason: string,
  ) {
    super(reason);
  }
}

const DEEPEST = 8;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

type Scanner = { readonly bytes: Uint8Array; position: number };

/**
 * Parses UTF-8 JSON, stricter than `JSON.parse`: duplicate keys, `__proto__` keys, integers above 2^53 - 1, fractions,
 * negative numbers, `true`, `false`, `null` and nesting deeper than 8 are faults. Objects have a null prototype.
 *
 * @throws JsonFault with the byte offset of the fault
 */
export function parseHeaderJson(bytes: Uint8Array): HeaderJson {
  const scanner: Scanner = { bytes, position: 0 };
  const value = scanValue(scanner, 0);
  skipSpace(scanner);
  if (scanner.position < bytes.length) throw new JsonFault(scanner.position, 'text after the end of the JSON value');
  return value;
}

function scanValue(scanner: Scanner, depth: number): HeaderJson {
  skipSpace(scanner);
  if (depth > DEEPEST) throw new JsonFault(scanner.position, `JSON nested deeper than ${DEEPEST} levels`);
  switch (scanner.bytes[scanner.position]) {
    case 0x7b: // {
      return scanObject(scanner, depth);
    case 0x5b: // [
      return scanArray(scanner, depth);
    case QUOTE:
      return scanString(scanner);
    default:
      return scanInteger(scanner);
  }
}

function scanObject(scanner: Scanner, depth: number): { [key: string]: HeaderJson } {
  const result: { [key: string]: HeaderJson } = Object.create(null);
  scanItems(scanner, '{', '}', () => {
    skipSpace(scanner);
    const at = scanner.position;
    const key = scanString(scanner);
    if (key === '__proto__') throw new JsonFault(at, 'key "__proto__" is not allowed');
    if (key in result) throw new JsonFault(at, `duplicate key ${quoted(key)}`);
    skipSpace(scanner);
    expectByte(scanner, ':');
    result[key] = scanValue(scanner, depth + 1);
  });
  return result;
}

function scanArray(scanner: Scanner, depth: number): HeaderJson[] {
  const result: HeaderJson[] = [];
  scanItems(scanner, '[', ']', () => result.push(scanValue(scanner, depth + 1)));
  return result;
}

/** Scans `open item, item, … close`. */
function scanItems(scanner: Scanner, open: string, close: string, scanItem: () => void): void {
  expectByte(scanner, open);
  skipSpace(scanner);
  if (takeByte(scanner, close)) return;
  do {
    scanItem();
    skipSpace(scanner);
  } while (takeByte(scanner, ','));
  expectByte(scanner, close);
}

function scanString(scanner: Scanner): string {
  const start = scanner.position;
  expectByte(scanner, '"');
  const { bytes } = scanner;
  while (scanner.position < bytes.length && bytes[scanner.position] !== QUOTE) {
    scanner.position += bytes[scanner.position] === BACKSLASH ? 2 : 1;
  }
  if (scanner.position >= bytes.length) throw new JsonFault(start, 'string without an end');
  scanner.position += 1;
  const text = decode(bytes.subarray(start, scanner.position), start);
  // What is between the quotes (escapes, control characters) is left to JSON.parse, which is strict about it.
  const value = parseQuoted(text, start);
  if (/\p{Surrogate}/u.test(value)) throw new JsonFault(start, 'string with half a surrogate pair');
  return value;
}

function parseQuoted(text: string, offset: number): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw new JsonFault(offset, 'malformed string');
  }
}

function decode(bytes: Uint8Array, offset: number): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new JsonFault(offset, 'string is not valid UTF-8');
  }
}

function scanInteger(scanner: Scanner): number {
  const start = scanner.position;
  let end = start;
  while (isDigit(scanner.bytes[end])) end++;
  const text = String.fromCharCode(...scanner.bytes.subarray(start, Math.min(end, start + 20)));
  if (end === start) throw new JsonFault(start, `expected a string, array, object or integer, got ${show(scanner)}`);
  if (text.length > 1 && text.startsWith('0')) throw new JsonFault(start, 'integer with a leading zero');
  if (!Number.isSafeInteger(Number(text))) throw new JsonFault(start, `integer ${text} is above 2^53 - 1`);
  scanner.position = end;
  return Number(text);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function skipSpace(scanner: Scanner): void {
  // Space, tab, line feed, carriage return.
  while ([0x20, 0x09, 0x0a, 0x0d].includes(scanner.bytes[scanner.position] as number)) scanner.position++;
}

function takeByte(scanner: Scanner, character: string): boolean {
  if (scanner.bytes[scanner.position] !== character.charCodeAt(0)) return false;
  scanner.position++;
  return true;
}

function expectByte(scanner: Scanner, character: string): void {
  if (takeByte(scanner, character)) return;
  throw new JsonFault(scanner.position, `expected ${JSON.stringify(character)}, got ${show(scanner)}`);
}

function show({ bytes, position }: Scanner): string {
  const byte = bytes[position];
  if (byte === undefined) return 'the end of the text';
  const printable = byte > 0x20 && byte < 0x7f;
  return printable ? JSON.stringify(String.fromCharCode(byte)) : `byte 0x${byte.toString(16).padStart(2, '0')}`;
}
