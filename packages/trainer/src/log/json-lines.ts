import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { fileSystemReason, writeFileAtomic } from '@tb/io';

/** One line of `log.jsonl`: what happened, at which step. */
export type LogRecord = { event: string; step: number; [name: string]: unknown };

export function appendRecord(path: string, record: LogRecord): void {
  appendToLog(path, `${JSON.stringify(record)}\n`);
}

/** @throws Error that names the file and says why it cannot be written */
export function appendToLog(path: string, content: string | Uint8Array): void {
  try {
    appendFileSync(path, content);
  } catch (error) {
    throw new Error(`${path} cannot be written: ${fileSystemReason(error)}`);
  }
}

/** The records of a log; a last line cut off by a crash is left out. */
export function readRecords(path: string): LogRecord[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as LogRecord];
      } catch {
        return [];
      }
    });
}

/** Drops what was logged at `step` and later, for a run that continues from there. */
export async function truncateRecords(path: string, step: number): Promise<void> {
  if (!existsSync(path)) return;
  const kept = readRecords(path).filter(
    (record) => record.step < step || (record.step === step && record.event !== 'step'),
  );
  await writeFileAtomic(path, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
}
