/**
 * A file that is not what its format promises: truncated, corrupt, hostile, or of a variant that is not supported.
 *
 * The message reads `<file>: byte <offset>: <reason>`. Mistakes of the caller (an unknown tensor name, a shape that does
 * not fit) are plain `Error`s instead.
 */
export class FileFormatError extends Error {
  override readonly name = 'FileFormatError';

  /**
   * @param file - path of the file, or the name given to bytes in memory
   * @param offset - byte offset in the file at which the fault was noticed
   * @param reason - what is wrong there
   */
  constructor(
    readonly file: string,
    readonly offset: number,
    readonly reason: string,
  ) {
    super(`${file}: byte ${offset}: ${reason}`);
  }
}
