import { appendFileSync, readFileSync } from 'node:fs';
import { fileSystemError, writeFileAtomic } from '@tb/io';

/** One line of `log.jsonl`: what happened, at which step. */
export type LogRecord = { event: string; step: number; [name: string]: unknown };

export function appendRecord(path: string, record: LogRecord): void {
  appendToLog(path, `${JSON.stringify(record)}\n`);
}

/** @throws Error that names the file and states why it cannot be written */
export function appendToLog(path: string, content: string | Uint8Array): void {
  try {
    appendFileSync(path, content);
  } catch (error) {
    throw fileSystemError(path, 'written', error);
  }
}

/**
 * Reads the records of a log; none if there is no log. Lines that are not records are left out, such as a last line that a
 * crash cut off.
 *
 * @throws Error that names the file and states why it cannot be read
 */
export function readRecords(path: string): LogRecord[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileSystemError(path, 'read', error);
  }
  return text.split('\n').flatMap((line) => {
    const record = parse(line);
    return isRecord(record) ? [record] : [];
  });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is LogRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { event, step } = value as Partial<LogRecord>;
  return typeof event === 'string' && Number.isFinite(step);
}

/** Removes what was logged at `step` and later, for a run that continues from there. */
export async function truncateRecords(path: string, step: number): Promise<void> {
  const records = readRecords(path);
  if (records.length === 0) return;
  const kept = records.filter((record) => record.step < step || (record.step === step && record.event !== 'step'));
  await writeFileAtomic(path, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
}
