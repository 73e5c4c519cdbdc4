import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The calls that fail, by the names that the library counts them by. */
export const calls = ['open', 'write', 'fsync', 'rename', 'close'] as const;

export type Call = (typeof calls)[number];

/** What happens at a call. SIGKILL kills the process before it. */
export const failures = ['ENOSPC', 'EIO', 'EMFILE', 'EACCES', 'SIGKILL'] as const;

export type Failure = (typeof failures)[number];

/**
 * Builds the library that makes calls fail.
 *
 * @returns its path, or a sentence that explains why it cannot be used here
 */
export function buildLibrary(folder: string): { path: string } | { missing: string } {
  if (process.platform !== 'linux') return { missing: 'system calls can be made to fail on Linux only' };
  const path = join(folder, 'failing-calls.so');
  const source = fileURLToPath(new URL('failing-calls.c', import.meta.url));
  const { error, status, stderr } = spawnSync(
    process.env.CC ?? 'cc',
    ['-O2', '-shared', '-fPIC', '-o', path, source, '-ldl'],
    { encoding: 'utf8' },
  );
  if (error) return { missing: `no C compiler: ${error.message}` };
  return status === 0 ? { path } : { missing: `the C compiler refuses failing-calls.c: ${stderr}` };
}

export type FaultPoint = { call: Call; number: number; failure: Failure };

/** The environment in which one call on the files of a folder fails, or in which they are counted. */
export const environmentOf = (
  library: string,
  folder: string,
  { point, countFile }: { point?: FaultPoint; countFile?: string },
): NodeJS.ProcessEnv => ({
  LD_PRELOAD: library,
  UV_USE_IO_URING: '0', // which would pass by the C library
  TB_FAULT_FOLDER: folder,
  TB_FAULT_CALL: point?.call,
  TB_FAULT_NUMBER: String(point?.number ?? 0),
  TB_FAULT_ERROR: String(point === undefined || point.failure === 'SIGKILL' ? 0 : constants.errno[point.failure]),
  TB_FAULT_COUNT: countFile,
});
