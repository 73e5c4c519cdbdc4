import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { writeFileAtomic } from './atomic-file.js';
import { makeFolder } from './make-folder.js';
import { removeLeftovers, temporaryPath } from './temporary-files.js';
import { withFolder } from './testing/fixtures.js';

/** The temporary name of a file as another process on this computer would choose it. */
const temporaryNameOf = (path: string, pid: number, start = 1) =>
  basename(temporaryPath(path)).replace(/-[0-9a-f]+-[0-9a-f]+-/, `-${pid.toString(16)}-${start.toString(16)}-`);

/** The PID of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid!;
}

it('removes what ended processes left in the folder, and nothing else, before a file is written', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'file.npz');
    const pid = await deadPid();
    const left = [temporaryNameOf(path, pid), temporaryNameOf(join(folder, 'é\n.png'), pid)];
    const kept = ['.file.npz.tmp', 'file.npz.tmp', '.file.npz.0123-1-1-89abcdef.tmp', '.notes.0123456789ab.tmp'];
    const alive = basename(temporaryPath(path)); // of this process
    for (const name of [...left, ...kept, alive]) await writeFile(join(folder, name), '');
    await writeFileAtomic(path, 'content');
    expect((await readdir(folder)).sort()).toEqual([...kept, alive, 'file.npz'].sort());
  }));

it('removes unsigned leftovers of the file that is written, if they are older than this process', () =>
  withFolder(async (folder) => {
    const [old, young, other] = ['.a.0123456789ab.tmp', '.a.fedcba987654.tmp', '.b.0123456789ab.tmp'];
    for (const name of [old, young, other]) await writeFile(join(folder, name), '');
    for (const name of [old, other]) await utimes(join(folder, name), 1e9, 1e9);
    await writeFileAtomic(join(folder, 'a'), '');
    expect((await readdir(folder)).sort()).toEqual([young, other, 'a'].sort());
    await writeFileAtomic(join(folder, 'b'), '');
    expect((await readdir(folder)).sort()).toEqual([young, 'a', 'b'].sort());
  }));

it('distinguishes a process from a later one with its PID, where the system can', () =>
  withFolder(async (folder) => {
    const name = temporaryNameOf(join(folder, 'a'), process.pid, 1);
    await writeFile(join(folder, name), '');
    await removeLeftovers(folder);
    expect(await readdir(folder)).toEqual(process.platform === 'linux' ? [] : [name]);
  }));

it('leaves the files of another computer for a day', () =>
  withFolder(async (folder) => {
    const name = basename(temporaryPath(join(folder, 'a'))).replace(/\.[0-9a-f]{8}-/, '.00000000-');
    await writeFile(join(folder, name), '');
    await removeLeftovers(folder);
    expect(await readdir(folder)).toEqual([name]);
    const twoDaysAgo = Date.now() / 1000 - 48 * 60 * 60;
    await utimes(join(folder, name), twoDaysAgo, twoDaysAgo);
    await removeLeftovers(folder);
    expect(await readdir(folder)).toEqual([]);
  }));

it('leaves alone what two living writers of one folder are writing', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'a');
    const script = `
      const { temporaryPath } = await import(${JSON.stringify(new URL('./temporary-files.ts', import.meta.url).href)});
      const { writeFileSync } = await import('node:fs');
      writeFileSync(temporaryPath(${JSON.stringify(path)}), '');
      process.stdout.write('ready');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await writeFileAtomic(path, '');
    expect(await readdir(folder)).toHaveLength(2);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await makeFolder(folder);
    expect(await readdir(folder)).toEqual(['a']);
  }));

it('writes files whose names are as long as the system allows', () =>
  withFolder(async (folder) => {
    for (const name of ['x'.repeat(255), 'é'.repeat(127), '😀'.repeat(63)]) {
      await writeFileAtomic(join(folder, name), 'content');
      expect(await readFile(join(folder, name), 'utf8')).toBe('content');
    }
  }));

it('does nothing in a folder that does not exist', async () => {
  await removeLeftovers('/nowhere/at/all');
});
