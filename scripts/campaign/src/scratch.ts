// The folders of a campaign. Those of trials that found a fault stay when it ends.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Scratch = {
  /** Folder that holds all others. */
  readonly path: string;
  /** A new empty folder, which is there until `close`. */
  newFolder(name: string): string;
  /** Runs a trial in a new folder and removes it; where the trial finds faults, the folder stays, and they name it. */
  inFolder<Found extends { faults: readonly string[] }>(
    name: string,
    trial: (folder: string) => Promise<Found>,
  ): Promise<Found>;
  /** Removes everything but the folders of faults. */
  close(): void;
};

/** Makes a scratch folder in the folder for temporary files. */
export function openScratch(): Scratch {
  const path = mkdtempSync(join(tmpdir(), 'tb-campaign-'));
  const kept = new Set<string>();
  let count = 0;
  const newFolder = (name: string) => {
    const folder = join(path, `${name}-${count++}`);
    mkdirSync(folder);
    return folder;
  };
  const remove = (folder: string) => rmSync(folder, { recursive: true, force: true });
  return {
    path,
    newFolder,
    async inFolder(name, trial) {
      const folder = newFolder(name);
      const found = await trial(folder);
      if (found.faults.length > 0) kept.add(folder);
      else remove(folder);
      return { ...found, faults: found.faults.map((fault) => `${fault}; its files are in ${folder}`) };
    },
    close() {
      if (kept.size === 0) return remove(path);
      const folders = readdirSync(path).map((name) => join(path, name));
      for (const folder of folders) if (!kept.has(folder)) remove(folder);
    },
  };
}
