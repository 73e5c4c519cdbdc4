/**
 * Compiled programs on disk. A program is native code: whoever can write to the folder can run code in this process, so
 * the folder belongs to one user.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { writeWholeFile } from '../write-whole-file.js';

export type ProgramCache = {
  readonly folder: string;
  /** The program's bytes; undefined when it is not there, or damaged (then a note reports it). */
  read(key: string): Uint8Array | undefined;
  /** A folder that cannot be written costs the next compilation, not this one: it is a note, not an error. */
  write(key: string, program: Uint8Array): void;
  remove(key: string): void;
  /** Whether a program of that key is there, damaged or not. */
  has(key: string): boolean;
  /** How long the last compilation under that name took; undefined where it is not known. */
  secondsOf(name: string): number | undefined;
  keepSeconds(name: string, seconds: number): void;
};

/** The file begins with a checksum of the program: a truncated or changed file must not reach the deserializer. */
const CHECKSUM_BYTES = 32;

const sha256 = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest();

/** A key from everything that the compiled code depends on. */
export function cacheKey(parts: readonly string[]): string {
  return sha256(JSON.stringify(parts)).toString('hex');
}

/** `TB_XLA_CACHE`, or `tokenbridge/xla` in the user's cache folder. `TB_XLA_CACHE=off` (or empty) means no cache. */
export function defaultCacheFolder(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = environment.TB_XLA_CACHE;
  if (named !== undefined) return named === '' || named === 'off' ? undefined : named;
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tokenbridge', 'xla');
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // its folder does not exist either
  }
}

export function openProgramCache(folder: string, note = (text: string): void => console.warn(text)): ProgramCache {
  const pathOf = (key: string) => join(folder, `${key}.program`);

  function read(key: string): Uint8Array | undefined {
    let file: Buffer;
    try {
      file = readFileSync(pathOf(key));
    } catch {
      return undefined;
    }
    const program = file.subarray(CHECKSUM_BYTES);
    if (file.length > CHECKSUM_BYTES && sha256(program).equals(file.subarray(0, CHECKSUM_BYTES))) return program;
    note(`compile cache: ${pathOf(key)} is damaged; compiling again`);
    return undefined;
  }

  function write(key: string, program: Uint8Array): void {
    try {
      writeWholeFile(pathOf(key), Buffer.concat([sha256(program), program]), { folder: 0o700, file: 0o600 });
    } catch (error) {
      note(`compile cache: ${folder} cannot be written (${(error as Error).message})`);
    }
  }

  const secondsFile = join(folder, 'seconds.json');
  const readSeconds = (): Record<string, unknown> => {
    try {
      return { ...JSON.parse(readFileSync(secondsFile, 'utf8')) };
    } catch {
      return {}; // the file is for messages alone
    }
  };

  return {
    folder,
    read,
    write,
    remove: (key) => removeQuietly(pathOf(key)),
    has: (key) => existsSync(pathOf(key)),
    secondsOf(name) {
      const seconds = readSeconds();
      return Object.hasOwn(seconds, name) && typeof seconds[name] === 'number' ? seconds[name] : undefined;
    },
    keepSeconds(name, seconds) {
      try {
        const text = JSON.stringify({ ...readSeconds(), [name]: Math.round(seconds * 10) / 10 }, null, 2);
        writeWholeFile(secondsFile, Buffer.from(`${text}\n`), { folder: 0o700, file: 0o600 });
      } catch {
        // `write` reports a folder that cannot be written
      }
    },
  };
}
