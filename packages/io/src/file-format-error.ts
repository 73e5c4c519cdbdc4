import { printable } from './printable.js';

/** The reason of an error is cut here: names in a damaged file can be long. */
const LONGEST_REASON = 600;

/**
 * A file that is not what its format promises: truncated, corrupt, hostile, or of a variant that is not supported.
 *
 * The message reads `<file>: byte <offset>: <reason>`. Mistakes of the caller (an unknown tensor name, a shape that does
 * not fit) are plain `Error`s instead.
 */
export class FileFormatError extends Error {
  override readonly name = 'FileFormatError';
  /** What is wrong there, in printable characters. */
  readonly reason: string;
  /** The file is not damaged: it holds something that this package cannot represent, or does not accept. */
  readonly isSound: boolean;

  /**
   * @param file - path of the file, or the name given to bytes in memory
   * @param offset - byte offset in the file at which the fault was noticed; undefined where no byte can be named
   * @param reason - what is wrong there
   * @param options - `sound`: the file is not damaged, but holds what cannot be represented or accepted
   */
  constructor(
    readonly file: string,
    readonly offset: number | undefined,
    reason: string,
    { sound = false }: { sound?: boolean } = {},
  ) {
    const shown = printable(reason.length > LONGEST_REASON ? `${reason.slice(0, LONGEST_REASON)}…` : reason);
    super(`${printable(file)}: ${offset === undefined ? '' : `byte ${offset}: `}${shown}`);
    this.reason = shown;
    this.isSound = sound;
  }
}
