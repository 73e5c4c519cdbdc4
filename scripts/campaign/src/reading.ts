// What reading a file may do, however bad the file is: end soon, take little memory, and throw one sentence if it throws.
import { inspect } from 'node:util';

/** What a read did. */
export type Seen<Value = unknown> = { milliseconds: number; memory: number } & ({ value: Value } | { error: unknown });

/** Longest time of a read, in milliseconds. */
const longest = 2000;

/** Most memory above what a file declares, in bytes. The files here declare little. */
const mostMemory = 256 * 2 ** 20;

const longestMessage = 1000;

/** Errors that are made to be read by users. */
const sentences = [
  'Error',
  'FileFormatError',
  'InputError',
  'UsageError',
  'FolderInUseError',
  'DamagedCheckpointError',
  'MissingPartError',
];

/** Errors for developers name the function that refused: `unpackCodes: …`. */
const namesItsFunction = /^[a-zA-Z]+: /;

/** Phrases of JavaScript's own errors, which mean nothing to a user. */
const innerPhrases = new RegExp(
  [
    'Cannot (read|set|convert|destructure|mix|use)|is not (a function|iterable|defined|a constructor|extensible)',
    'Invalid (array|typed array|string|time|count|BigInt|code point)|must be of type|undefined \\(|\\[object ',
    'Maximum call|call stack|out of memory|Array buffer alloc|Unexpected (token|end of (JSON|input)|non-whitespace)',
    'at position \\d+|Reduce of empty|Do not know how|Converting circular|ERR_|offset is outside|start offset',
    'byte length of|beyond the (buffer|bounds)',
  ].join('|'),
  'i',
);

const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** Whether text would steer a terminal; line feeds end its lines. */
export const steersTerminal = (text: string) => unprintable.test(text.replaceAll('\n', ''));

/** Runs `read`, and measures it. The memory is by how much it raised the peak of the process. */
export async function observe<Value>(read: () => Promise<Value>): Promise<Seen<Value>> {
  const before = process.resourceUsage().maxRSS;
  const start = performance.now();
  const measured = () => ({
    milliseconds: performance.now() - start,
    memory: 1024 * (process.resourceUsage().maxRSS - before),
  });
  try {
    const value = await read();
    return { ...measured(), value };
  } catch (error) {
    return { ...measured(), error };
  }
}

/** What must not have happened; undefined if nothing did. */
export function faultOf(seen: Seen): string | undefined {
  if (seen.milliseconds > longest) return `took ${Math.round(seen.milliseconds)} ms`;
  if (seen.memory > mostMemory) return `took ${Math.round(seen.memory / 2 ** 20)} MiB`;
  return 'error' in seen ? faultOfError(seen.error) : undefined;
}

function faultOfError(error: unknown): string | undefined {
  if (!(error instanceof Error)) return `threw ${inspect(error).slice(0, 200)}`;
  const { name, message, stack = '' } = error;
  const shown = `${name} ${JSON.stringify(message.slice(0, 300))} ${stack.split('\n').slice(1, 4).join(' ')}`;
  const isSentence = sentences.includes(name) || namesItsFunction.test(message);
  if (!isSentence || innerPhrases.test(message)) return `inner error ${shown}`;
  if (message.length > longestMessage) return `message of ${message.length} characters ${shown}`;
  if (steersTerminal(message)) return `control characters ${shown}`;
  return message === '' ? `an error without a message ${shown}` : undefined;
}
