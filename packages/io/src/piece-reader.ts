/** Takes runs of bytes from a sequence of pieces. */
export class PieceReader {
  private readonly iterator: AsyncIterator<Uint8Array>;
  private rest: Uint8Array = new Uint8Array(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.iterator = pieces[Symbol.asyncIterator]();
  }

  /** Copies into `target` until it is full or the pieces end. Returns how many bytes it has. */
  async fill(target: Uint8Array): Promise<number> {
    let done = 0;
    while (done < target.length) {
      if (this.rest.length === 0) {
        const { value, done: ended } = await this.iterator.next();
        if (ended) break;
        this.rest = value;
      }
      const part = this.rest.subarray(0, target.length - done);
      target.set(part, done);
      this.rest = this.rest.subarray(part.length);
      done += part.length;
    }
    return done;
  }

  /** Puts bytes back in front of what is to come. */
  unread(bytes: Uint8Array): void {
    const joined = new Uint8Array(bytes.length + this.rest.length);
    joined.set(bytes);
    joined.set(this.rest, bytes.length);
    this.rest = joined;
  }

  /** Reads the sequence to its end, where it may still fail (a checksum). */
  async finish(): Promise<void> {
    while (!(await this.iterator.next()).done);
  }

  /** Ends the sequence where it is, so that it frees what it holds. */
  async close(): Promise<void> {
    await this.iterator.return?.();
  }
}
