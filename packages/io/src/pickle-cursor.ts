import { PickleEndsEarly, PickleFault } from './pickle-values.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Python integers longer than this many bytes are refused: making one takes time that grows with its square. */
const LONGEST_INTEGER = 1024;

const HEXADECIMAL = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Longest name of a global: a module and a class. */
const LONGEST_LINE = 4096;

/** Walks through the bytes of a pickle; every read checks that the bytes are there. */
export class PickleCursor {
  private readonly view: DataView;

  constructor(
    readonly bytes: Uint8Array,
    public position = 0,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint8(): number {
    return this.view.getUint8(this.advance(1));
  }

  uint16(): number {
    return this.view.getUint16(this.advance(2), true);
  }

  int32(): number {
    return this.view.getInt32(this.advance(4), true);
  }

  uint32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  /** A 64-bit length; one beyond the file's end is a fault, so it is always exact. */
  length64(): number {
    const length = this.view.getBigUint64(this.advance(8), true);
    if (length > BigInt(this.bytes.length)) throw new PickleEndsEarly(this.position - 8, `impossible length ${length}`);
    return Number(length);
  }

  float64(): number {
    return this.view.getFloat64(this.advance(8), false); // the one big-endian field of the format
  }

  /** Bytes in separate memory. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const start = this.advance(length);
    return new Uint8Array(this.bytes.subarray(start, start + length));
  }

  text(length: number): string {
    const start = this.advance(length);
    const bytes = this.bytes.subarray(start, start + length);
    const text = decodeUtf8(bytes) ?? decodeWithSurrogates(bytes);
    if (text === undefined) throw new PickleFault(start, 'text is not valid UTF-8');
    return text;
  }

  /** A `str` of Python 2: text where it is UTF-8, bytes where not. */
  textOrBytes(length: number): string | Uint8Array<ArrayBuffer> {
    const bytes = this.take(length);
    return decodeUtf8(bytes) ?? bytes;
  }

  /** Text up to a line feed: a part of a global's name. */
  line(): string {
    const start = this.position;
    const length = this.bytes.subarray(start, start + LONGEST_LINE).indexOf(0x0a);
    if (length < 0) {
      if (this.bytes.length - start < LONGEST_LINE) throw new PickleEndsEarly(start, 'line without an end');
      throw new PickleFault(start, `name of more than ${LONGEST_LINE} bytes`);
    }
    const text = this.text(length);
    this.position += 1;
    return text;
  }

  /** A two's-complement little-endian integer: a number where that is exact, otherwise a bigint. */
  integer(length: number): number | bigint {
    if (length > LONGEST_INTEGER) throw new PickleFault(this.position, `integer of ${length} bytes`);
    const start = this.advance(length);
    let digits = '';
    for (let i = length - 1; i >= 0; i--) digits += HEXADECIMAL[this.bytes[start + i]!];
    const signed = BigInt.asIntN(8 * length, BigInt(`0x0${digits}`));
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  private advance(length: number): number {
    const start = this.position;
    if (start + length > this.bytes.length) throw new PickleEndsEarly(start, 'pickle ends too early');
    this.position = start + length;
    return start;
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Text with single surrogates, which Python writes as if they were characters: its names of files that are not UTF-8 hold
 * some. UTF-8 with anything else wrong in it gives undefined.
 */
function decodeWithSurrogates(bytes: Uint8Array): string | undefined {
  const parts: (string | undefined)[] = [];
  let start = 0;
  for (let i = 0; i + 2 < bytes.length; i++) {
    const [first, second, third] = [bytes[i]!, bytes[i + 1]!, bytes[i + 2]!];
    if (first !== 0xed || (second & 0xe0) !== 0xa0 || (third & 0xc0) !== 0x80) continue;
    parts.push(decodeUtf8(bytes.subarray(start, i)));
    parts.push(String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | (third & 0x3f)));
    start = i + 3;
    i += 2;
  }
  parts.push(decodeUtf8(bytes.subarray(start)));
  return parts.includes(undefined) ? undefined : parts.join('');
}
