// The folder of runs: which runs are below it, their logs and sample images. Nothing is written, and nothing outside is read.
import { createHash } from 'node:crypto';
import { readdir, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readImageFormat } from '@tb/images';
import { logOf, sampleFile } from '@tb/trainer';
import { RefusedError } from '../../page/check-requests.js';
import type { RunEvent, RunInfo } from '../../page/messages.js';
import type { EventSink } from './event-stream.js';
import { openInside } from './inside.js';
import { followLog, summarizeLog } from './run-log.js';

/** The runs below a folder. */
export type Runs = {
  list(): Promise<RunInfo[]>;
  /** Sends what a run has logged and logs from now on, until the signal is aborted. Never rejects. */
  follow(id: string, sink: EventSink<RunEvent>): Promise<void>;
  /** Finds out whether there is such a run. @throws RefusedError with status 404 */
  assertRun(id: string): Promise<void>;
  /** @returns a PNG file. @throws RefusedError with status 404 */
  sample(id: string, step: number): Promise<Uint8Array<ArrayBuffer>>;
};

/** Folders that are searched, and how deep. */
const mostFolders = 2000;
const deepest = 4;

/** Milliseconds between two looks at a log. */
const pause = 1000;

/** Bytes of a sample image. */
const largestSample = 2 ** 26;

/** @param folder - must exist */
export async function openRuns(folder: string): Promise<Runs> {
  const root = await realpath(folder);
  /** Folders of the runs below the root, by their ids. Requests contain only ids. */
  const names = new Map<string, string>();
  const search = async () => {
    const found = await findRuns(root);
    for (const name of found) names.set(idOf(name), name);
    return found;
  };
  const nameOf = async (id: string): Promise<string> => {
    if (!names.has(id)) await search();
    const name = names.get(id);
    if (name === undefined) throw new RefusedError('there is no such run', 404);
    return name;
  };
  return {
    async list() {
      const infos = await Promise.all((await search()).map((name) => describeRun(root, name)));
      return infos.flat().sort((a, b) => b.updated - a.updated);
    },
    assertRun: async (id) => void (await nameOf(id)),
    async follow(id, { emit, signal }) {
      try {
        const name = await nameOf(id);
        await followRun(root, name, { emit, signal });
      } catch {
        if (!signal.aborted) emit({ type: 'failed', message: 'the log of the run cannot be read' });
      }
    },
    async sample(id, step) {
      const file = await openInside(root, join(await nameOf(id), sampleFile(step)));
      if (!file) throw new RefusedError('there are no sample images of this step', 404);
      try {
        if ((await file.stat()).size > largestSample) throw new RefusedError('the sample images are too large', 413);
        const content = new Uint8Array(await file.readFile());
        const isPng = (await readImageFormat(content).catch(() => undefined)) === 'png';
        if (!isPng) throw new RefusedError('there are no sample images of this step', 404);
        return content;
      } finally {
        await file.close();
      }
    },
  };
}

const idOf = (name: string) => createHash('sha256').update(name).digest('hex').slice(0, 32);

/** Folders with a log, relative to the root. Links are not followed. */
async function findRuns(root: string): Promise<string[]> {
  const runs: string[] = [];
  let searched = 0;
  const visit = async (below: string, depth: number): Promise<void> => {
    if (++searched > mostFolders) return;
    const entries = await readdir(join(root, below), { withFileTypes: true }).catch(() => []);
    if (entries.some((entry) => entry.isFile() && entry.name === logOf('.'))) return void runs.push(below);
    if (depth === deepest) return;
    for (const entry of entries)
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
        await visit(join(below, entry.name), depth + 1);
  };
  await visit('', 0);
  return runs;
}

/** @returns nothing for a run that was removed in the meantime */
async function describeRun(root: string, name: string): Promise<RunInfo[]> {
  const file = await openInside(root, logOf(name));
  if (!file) return [];
  try {
    const { step, steps } = await summarizeLog(file);
    const { mtimeMs } = await file.stat();
    const isFinished = steps !== null && step >= steps;
    return [{ id: idOf(name), name: name || basename(root), step, steps, isFinished, updated: mtimeMs }];
  } finally {
    await file.close();
  }
}

async function followRun(root: string, name: string, { emit, signal }: EventSink<RunEvent>): Promise<void> {
  const read = followLog(() => openInside(root, logOf(name)));
  let steps: number | null = null;
  let isFinished = false;
  while (!signal.aborted) {
    const { isReset, records } = await read();
    if (isReset) emit({ type: 'reset' });
    if (records.length > 0) emit({ type: 'records', records });
    for (const record of records) {
      if (record.kind === 'begin') [steps, isFinished] = [record.steps, false];
      if (!isFinished && steps !== null && record.step >= steps) {
        isFinished = true;
        emit({ type: 'finished' });
      }
    }
    await delay(pause, undefined, { signal }).catch(() => {});
  }
}
