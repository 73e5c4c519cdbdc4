import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FolderInUseError, identifyJob, lockFile, lockFolder } from './folder-lock.js';
import { thisProcess } from './process-identity.js';
import { withFolder } from './testing/fixtures.js';

const isLinux = process.platform === 'linux';

/** A process that takes a folder, prints what came of it, and then waits. */
async function start(folder: string) {
  const source = `import { lockFolder } from '@tb/io';
    await lockFolder(process.argv[1]).then(() => console.log('taken'), (error) => console.log(error.what));
    setInterval(() => {}, 1000);`;
  const flags = ['--import', 'tsx', '--conditions=@tb/source', '--input-type=module', '-e', source, folder];
  const child = spawn(process.execPath, flags, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await once(child, 'exit');
  };
  return { pid: child.pid, line: String(line).trim(), end };
}

/** Writes a lock as another process would have. */
const writeLock = (folder: string, changes: object) =>
  writeFile(
    join(folder, lockFile),
    JSON.stringify({ ...thisProcess(), since: '2026-01-02T03:04:05.678Z', work: 'tb-train model', ...changes }),
  );

describe('lockFolder', () => {
  it('refuses the second process, and names the first one', { timeout: 30_000 }, () =>
    withFolder(async (folder) => {
      const first = await start(folder);
      expect(first.line).toBe('taken');
      await symlink(folder, join(folder, 'link'));
      for (const path of [folder, join(folder, 'link'), `${folder}/./`]) {
        await expect(lockFolder(path, '--out x')).rejects.toThrow(FolderInUseError);
        await expect(lockFolder(path, '--out x')).rejects.toThrow(
          new RegExp(
            `--out x is in use: process ${first.pid} on ${hostname()} \\(.*\\) has been working there since 2`,
          ),
        );
      }
      await first.end('SIGKILL');
      expect(await readdir(folder)).toContain(lockFile); // of an ended process
      const release = await lockFolder(folder);
      const second = await start(folder);
      expect(second.line).toContain(`is in use: process ${process.pid} on `);
      await second.end('SIGTERM');
      await release();
      expect(await readdir(folder)).toEqual(['link']);
    }),
  );

  it('takes a folder several times in one process, until all have given it back', () =>
    withFolder(async (folder) => {
      const [first, second] = await Promise.all([lockFolder(folder), lockFolder(folder)]);
      await first();
      await first();
      expect(await readdir(folder)).toEqual([lockFile]);
      await second();
      expect(await readdir(folder)).toEqual([]);
    }));

  it.runIf(isLinux).each([
    ['of a process that never was', { pid: 2 ** 22 + 1 }],
    ['of an earlier process with the same PID', { start: 1 }],
    ['from before the computer was started', { boot: '00000000-0000-0000-0000-000000000000' }],
  ])('takes a folder with a lock %s', (_, changes) =>
    withFolder(async (folder) => {
      await writeLock(folder, changes);
      const release = await lockFolder(folder);
      expect(JSON.parse(await readFile(join(folder, lockFile), 'utf8'))).toMatchObject({ pid: process.pid });
      await release();
      expect(await readdir(folder)).toEqual([]);
    }),
  );

  it.each([
    [
      'on another computer',
      { host: 'elsewhere', pid: 7 },
      /process 7 on elsewhere \(tb-train model\).* since 2026-01-02T03:04:05Z; if/,
    ],
    ['on another computer of the same name', { machine: 'other' }, /if it has ended, remove .*\.tb-lock/],
    [
      'that steers the terminal',
      { host: '\u001b[2J', work: 'x'.repeat(1e5) },
      /process \d+ on \\u001b\[2J \(x{80}\) has/,
    ],
  ])('leaves the folder to a process %s', (_, changes, message) =>
    withFolder(async (folder) => {
      await writeLock(folder, changes);
      const before = await readFile(join(folder, lockFile), 'utf8');
      await expect(lockFolder(folder)).rejects.toThrow(message);
      expect(await readFile(join(folder, lockFile), 'utf8')).toBe(before);
      expect(await readdir(folder)).toEqual([lockFile]);
    }),
  );

  it.each(['', 'null', '{"pid": 1}', '[]'])('does not guess who wrote a lock with the content %j', (content) =>
    withFolder(async (folder) => {
      await writeFile(join(folder, lockFile), content);
      await expect(lockFolder(folder)).rejects.toThrow(/may be in use: .*\.tb-lock does not state by which process/);
    }),
  );

  it('lets processes in that have different shares of one work, and no others', () =>
    withFolder(async (folder) => {
      const first = await lockFolder(folder, 'x', { index: 0, count: 2 });
      const second = await lockFolder(folder, 'x', { index: 1, count: 2 });
      expect((await readdir(folder)).sort()).toEqual([`${lockFile}-0-of-2`, `${lockFile}-1-of-2`]);
      const refused = `x is in use: process ${process.pid} on `;
      await expect(lockFolder(folder, 'x')).rejects.toThrow(refused);
      await expect(lockFolder(folder, 'x', { index: 2, count: 3 })).rejects.toThrow(refused);
      expect(await readdir(folder)).toHaveLength(2);
      await first();
      await second();
      const all = await lockFolder(folder, 'x');
      await expect(lockFolder(folder, 'x', { index: 0, count: 2 })).rejects.toThrow(refused);
      await all();
      expect(await readdir(folder)).toEqual([]);
    }));

  it('takes the place of earlier starts of its job, on any computer', () =>
    withFolder(async (folder) => {
      try {
        identifyJob({ key: 'ours', incarnation: 1 });
        await writeLock(folder, { host: 'elsewhere', job: { key: 'ours', incarnation: 0 } });
        await (await lockFolder(folder))();
        for (const job of [{ key: 'other', incarnation: 0 }, { key: 'ours', incarnation: 1 }, undefined]) {
          await writeLock(folder, { host: 'elsewhere', job });
          await expect(lockFolder(folder)).rejects.toThrow(FolderInUseError);
        }
      } finally {
        identifyJob(undefined);
      }
    }));

  it('reports the path that is in the way of the lock', () =>
    withFolder(async (folder) => {
      await expect(lockFolder(join(folder, 'none'))).rejects.toThrow(/none cannot be used: it does not exist/);
      await mkdir(join(folder, lockFile));
      await expect(lockFolder(folder)).rejects.toThrow(/\.tb-lock cannot be written: a folder has that name/);
    }));

  it('lets one of many newcomers have the folder of an ended process', { timeout: 60_000 }, () =>
    withFolder(async (folder) => {
      await writeLock(folder, { pid: 2 ** 22 + 1 });
      const newcomers = await Promise.all(Array.from({ length: 4 }, () => start(folder)));
      expect(newcomers.filter(({ line }) => line === 'taken')).toHaveLength(1);
      for (const newcomer of newcomers) await newcomer.end('SIGKILL');
      await rm(join(folder, lockFile));
    }),
  );
});
