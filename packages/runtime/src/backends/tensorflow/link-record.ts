import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What `linkTensorflow` built, and against what. */
export type LinkRecord = {
  format: 1;
  device: 'cpu' | 'gpu';
  /** The built addon and its SHA-256. */
  addon: string;
  addonHash: string;
  /** The folder of the npm package whose JavaScript belongs to the addon. */
  packageFolder: string;
  tensorflow: { python: string; version: string; folder: string; cuda?: { version: string; cudnn: string } };
};

const recordPath = (cacheFolder: string) => join(cacheFolder, 'tensorflow', 'link.json');

/** The link of this user, or undefined where none was made or its record is damaged. */
export function readLinkRecord(cacheFolder: string): LinkRecord | undefined {
  const path = recordPath(cacheFolder);
  if (!existsSync(path)) return undefined;
  try {
    const record = JSON.parse(readFileSync(path, 'utf8'));
    return record?.format === 1 ? record : undefined;
  } catch {
    return undefined; // damaged: a new link replaces it
  }
}

/** Replaces the link at once: a reader sees the old or the new one, never a part. */
export function writeLinkRecord(cacheFolder: string, record: LinkRecord): void {
  const path = recordPath(cacheFolder);
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(temporary, path);
}

export function hashFile(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
