// The log of a run, read while it is written. Its lines are not trusted: those that are not records of a run are left out.
import type { FileHandle } from 'node:fs/promises';
import type { RunRecord } from '../../page/messages.js';

/** Opens the log; undefined while there is none. */
type Open = () => Promise<FileHandle | undefined>;

/** What was read since the last time. */
export type NewRecords = {
  /** The log was replaced or became shorter: what was read before does not count any longer. */
  isReset: boolean;
  records: RunRecord[];
};

/** Bytes that are read at once. */
const pieceBytes = 2 ** 16;

/** Longer lines are left out. */
const longestLine = 2 ** 16;

/** Steps of one reading; of more, every second one is left out until they are few enough. */
const mostSteps = 4000;

/** Follows a log. Each call of the result reads what was added since the last one. */
export function followLog(open: Open): () => Promise<NewRecords> {
  let offset = 0;
  let inode: number | undefined;
  let rest = '';
  return async () => {
    const file = await open();
    if (!file) return { isReset: false, records: [] };
    try {
      const { ino, size } = await file.stat();
      const isReset = inode !== undefined && (ino !== inode || size < offset);
      if (isReset) [offset, rest] = [0, ''];
      inode = ino;
      const records: RunRecord[] = [];
      const decoder = new TextDecoder();
      while (offset < size) {
        const { bytesRead, buffer } = await file.read(
          Buffer.alloc(pieceBytes),
          0,
          Math.min(pieceBytes, size - offset),
          offset,
        );
        if (bytesRead === 0) break;
        // A character that is cut off in the middle can only be in a text, which is not shown.
        const lines = (rest + decoder.decode(buffer.subarray(0, bytesRead))).split('\n');
        offset += bytesRead;
        rest = lines.pop()!.slice(-longestLine - 1);
        for (const line of lines) records.push(...recordOf(line));
        if (records.length > 2 * mostSteps) records.splice(0, records.length, ...thinned(records));
      }
      return { isReset, records: records.length > mostSteps ? thinned(records) : records };
    } finally {
      await file.close();
    }
  };
}

/** Leaves out every second step. */
function thinned(records: readonly RunRecord[]): RunRecord[] {
  let steps = 0;
  return records.filter((record) => record.kind !== 'step' || steps++ % 2 === 0);
}

/** Reads the step that a run has reached, and all its steps, from the two ends of its log. */
export async function summarizeLog(file: FileHandle): Promise<{ step: number; steps: number | null }> {
  const { size } = await file.stat();
  const ends = [0, Math.max(pieceBytes, size - pieceBytes)].filter((start) => start < size);
  const records: RunRecord[] = [];
  for (const start of ends) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(pieceBytes), 0, pieceBytes, start);
    for (const line of buffer.toString('utf8', 0, bytesRead).split('\n')) records.push(...recordOf(line));
  }
  const begins = records.filter((record) => record.kind === 'begin');
  return { step: records.at(-1)?.step ?? 0, steps: begins.at(-1)?.steps ?? null };
}

/** The record of a line; none if it is not one that the page shows. */
function recordOf(line: string): RunRecord[] {
  if (line.length > longestLine) return [];
  const { event, step, steps, time: _, ...values } = parsed(line);
  if (!isCount(step)) return [];
  if (event === 'begin') return [{ kind: 'begin', step, steps: isCount(steps) ? steps : null }];
  if (event === 'picture') return [{ kind: 'sample', step }];
  if (event !== 'step' && event !== 'validation') return [];
  const numbers = Object.entries(values).filter((entry): entry is [string, number] => Number.isFinite(entry[1]));
  return [{ kind: event, step, values: Object.fromEntries(numbers) }];
}

function parsed(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
