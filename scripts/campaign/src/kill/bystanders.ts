// Files in a folder that look like leftovers and are none: removing one of them is a fault.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@tb/io';

/** Names without the mark of a process: they belong to the user. */
const names = ['.campaign-notes.tmp', 'campaign.tmp', '.campaign'];

export type Bystanders = {
  /** Ends the writing. @returns a sentence for each file that did not stay as it was */
  check(): Promise<string[]>;
};

/** Puts files into a folder, and begins to write one more, as another living process would. */
export async function placeBystanders(folder: string): Promise<Bystanders> {
  mkdirSync(folder, { recursive: true });
  for (const name of names) writeFileSync(join(folder, name), name);
  const target = join(folder, 'campaign-report.txt');
  const finished = gate();
  const begun = gate();
  async function* content() {
    yield new TextEncoder().encode('begun, ');
    begun.open();
    await finished.opened;
    yield new TextEncoder().encode('finished');
  }
  const written = writeFileAtomic(target, content());
  await begun.opened;
  return {
    async check() {
      finished.open();
      const failure = await written.then(
        () => (readFileSync(target, 'utf8') === 'begun, finished' ? [] : ['a file of a living writer has other bytes']),
        (error: Error) => [`a file of a living writer was lost: ${error.message}`],
      );
      const lost = names.filter((name) => !existsSync(join(folder, name)));
      return [...failure, ...lost.map((name) => `${name} was removed, which is no leftover`)];
    },
  };
}

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** Paths of what killed processes have left below a folder, without the bystanders. */
export const leftoversBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /\.tmp(\.old)?$|\.tb-lock$/.test(path) && !/campaign/.test(path),
  );
