import { PickleEndsEarly, PickleFault } from './pickle-values.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Python integers longer than this many bytes are refused: making one takes time that grows with its square. */
const LONGEST_INTEGER = 1024;

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

  /** Bytes in memory of their own. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const start = this.advance(length);
    return new Uint8Array(this.bytes.subarray(start, start + length));
  }

  text(length: number): string {
    const start = this.advance(length);
    return this.decode(start, start + length);
  }

  /** Text up to a line feed. */
  line(): string {
    const start = this.position;
    const end = this.bytes.indexOf(0x0a, start);
    if (end < 0) throw new PickleEndsEarly(start, 'line without an end');
    this.position = end + 1;
    return this.decode(start, end);
  }

  /** A two's-complement little-endian integer: a number where that is exact, otherwise a bigint. */
  integer(length: number): number | bigint {
    if (length > LONGEST_INTEGER) throw new PickleFault(this.position, `integer of ${length} bytes`);
    const start = this.advance(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[start + i]!);
    const signed = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  private decode(start: number, end: number): string {
    try {
      return utf8.decode(this.bytes.subarray(start, end));
    } catch {
      throw new PickleFault(start, 'text is not valid UTF-8');
    }
  }

  private advance(length: number): number {
    const start = this.position;
    if (start + length > this.bytes.length) throw new PickleEndsEarly(start, 'pickle ends too early');
    this.position = start + length;
    return start;
  }
}
