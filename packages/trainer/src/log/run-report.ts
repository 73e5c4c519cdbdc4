import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@tb/io';
import { logOf, reportOf, samplePattern, samplesOf } from '../run-folder/layout.js';
import { type LogRecord, readRecords } from './json-lines.js';
import { type ReportImage, type ReportInput, renderReport } from './report.js';

/** As many images as a report can have and still be sent by mail. */
const mostImages = 6;

/** Writes the report of a run from its log. @returns its path */
export async function writeRunReport(
  out: string,
  input: Pick<ReportInput, 'title' | 'config' | 'notes'>,
): Promise<string> {
  const path = reportOf(out);
  const records = readRecords(logOf(out));
  await writeFileAtomic(path, renderReport({ ...input, records, images: lastImages(out, records) }));
  return path;
}

/** Sample images of the last steps, newest first; those of earlier parts of a resumed run included. */
function lastImages(out: string, records: readonly LogRecord[]): ReportImage[] {
  const images: ReportImage[] = [];
  for (const { event, step, file } of records.toReversed()) {
    if (event !== 'picture' || images.length === mostImages) continue;
    const png = readSample(out, file);
    if (png) images.push({ title: `Step ${step}`, png });
  }
  return images;
}

const pngSignature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/**
 * Reads a sample image that a log names. A run folder may come from somebody else, and reports are passed on: only PNG
 * files among the run's own sample images count, whatever the log names.
 */
function readSample(out: string, file: unknown): Uint8Array | undefined {
  const name = typeof file === 'string' ? file.replaceAll('\\', '/') : '';
  if (!samplePattern.test(name)) return undefined;
  try {
    const isInRun = realpathSync(samplesOf(out)) === samplesOf(realpathSync(out));
    if (!isInRun || !lstatSync(join(out, name)).isFile()) return undefined;
    const content = readFileSync(join(out, name));
    return content.subarray(0, pngSignature.length).equals(pngSignature) ? content : undefined;
  } catch {
    return undefined; // removed, or not readable: a report needs no image
  }
}
