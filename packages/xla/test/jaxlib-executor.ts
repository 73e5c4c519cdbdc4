/**
 * Runs the printed StableHLO on XLA's own CPU compiler, where the Python packages jax and jaxlib are installed: an `Executor` for
 * tests, over a child process. Requests are synchronous, since `downloadSync` must be.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { oneProcess, replicasOfProcess } from '@tb/runtime';
import {
  type ArraySpec,
  assertHostArray,
  byteSize,
  type DeviceBuffer,
  type Executable,
  type Executor,
  type HostArray,
  hostArray,
} from '../src/executor.js';

let foundPython: string | undefined | null = null;

/**
 * The Python that has jax: `TB_JAXLIB_PYTHON`, or the first of python3 and python. Undefined when there is none, and
 * then the tests that need XLA are skipped with a notice:
 *
 *     describe.skipIf(!jaxlibPython())(…)
 */
export function jaxlibPython(): string | undefined {
  if (foundPython === null) {
    const candidates = [process.env.TB_JAXLIB_PYTHON, 'python3', 'python'].filter((name) => name !== undefined);
    foundPython = candidates.find((name) => spawnSync(name, ['-c', 'import jax']).status === 0);
    if (!foundPython) console.warn('jax not found (pip install jax, or TB_JAXLIB_PYTHON): XLA tests are skipped');
  }
  return foundPython;
}

type Channel = {
  request(message: Record<string, unknown>, data?: HostArray): Uint8Array<ArrayBuffer>;
  close(): void;
};

/** Writes all of it: a pipe takes 64 KiB at a time. */
function writeFully(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

function readFully(file: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let done = 0; done < size; ) {
    const read = readSync(file, bytes, done, size - done, null);
    if (read === 0) throw new Error('jaxlib executor: the Python process ended (its reason stands on standard error)');
    done += read;
  }
  return bytes;
}

/**
 * Starts the child on two named pipes. Each is first opened for both directions, which never blocks, so that the two
 * one-way ends open at once; only the child keeps the ends that it needs, and its death ends our read.
 */
function startServer(
  python: string,
  settings: readonly string[],
): { child: ChildProcess; write: number; read: number } {
  const folder = mkdtempSync(join(tmpdir(), 'jaxlib-executor-'));
  const paths = [join(folder, 'requests'), join(folder, 'answers')] as const;
  if (spawnSync('mkfifo', [...paths]).status !== 0) throw new Error('jaxlib executor: mkfifo is not available');
  const bothWays = paths.map((path) => openSync(path, 'r+'));
  const write = openSync(paths[0], 'w');
  const read = openSync(paths[1], 'r');
  const theirs = [openSync(paths[0], 'r'), openSync(paths[1], 'w')] as const;
  const script = fileURLToPath(new URL('./jaxlib-server.py', import.meta.url));
  const child = spawn(python, [script, ...settings], {
    stdio: [theirs[0], theirs[1], 'inherit'],
    env: { TF_CPP_MIN_LOG_LEVEL: '2', ...process.env },
  });
  for (const file of [...bothWays, ...theirs]) closeSync(file);
  rmSync(folder, { recursive: true });
  child.unref();
  return { child, write, read };
}

function openChannel(python: string, settings: readonly string[]): Channel {
  const { child, write, read } = startServer(python, settings);
  let open = true;
  return {
    request(message, data) {
      if (!open) throw new Error('jaxlib executor: used after dispose');
      const head = Buffer.from(JSON.stringify({ ...message, bytes: data?.byteLength ?? 0 }));
      const length = Buffer.alloc(4);
      length.writeUInt32LE(head.length);
      writeFully(write, Buffer.concat([length, head]));
      if (data) writeFully(write, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      const answerLength = new DataView(readFully(read, 4).buffer).getUint32(0, true);
      const answer = JSON.parse(new TextDecoder().decode(readFully(read, answerLength))) as {
        error?: string;
        bytes: number;
      };
      const payload = readFully(read, answer.bytes);
      if (answer.error !== undefined) throw new Error(answer.error);
      return payload;
    },
    close() {
      if (!open) return;
      open = false;
      closeSync(write);
      closeSync(read);
      child.kill();
    },
  };
}

type JaxlibBuffer = DeviceBuffer & { readonly id: number; freed: boolean };
type JaxlibExecutable = Executable & { readonly id: number };

/** How many buffers and executables the child process holds: tests of leaks compare it before and after. */
export type JaxlibExecutor = Executor & { liveObjects(): number };

/** Where the Python processes of a group meet: at a free port of process 0, which its store makes known. */
function groupSettings({ index, count, store }: Processes): string[] {
  const key = 'jaxlib/coordinator';
  if (index === 0) store.put(key, new TextEncoder().encode(`127.0.0.1:${freePort()}`));
  return [new TextDecoder().decode(store.get(key, { timeoutMs: 60_000 })), String(count), String(index)];
}

/** A port that nothing serves at the moment. */
function freePort(): number {
  const script =
    "const s = require('net').createServer().listen(0, () => { console.log(s.address().port); s.close(); })";
  return Number(spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout);
}

type Processes = NonNullable<Executor['processes']>;

/**
 * @param devices - number of CPU devices of this process, for programs with replicas; default 4
 * @param processes - the group whose devices run programs together
 * @throws Error when no Python with jax is found
 */
export function createJaxlibExecutor({
  devices = 4,
  processes,
}: {
  devices?: number;
  processes?: Processes;
} = {}): JaxlibExecutor {
  const python = jaxlibPython();
  if (!python) throw new Error('createJaxlibExecutor: needs the Python package jax (pip install jax)');
  const channel = openChannel(python, [String(devices), ...(processes ? groupSettings(processes) : [])]);
  let lastId = 0;
  let live = 0; // bytes
  let peak = 0;

  function adopt(spec: ArraySpec, device: number): JaxlibBuffer {
    live += byteSize(spec);
    peak = Math.max(peak, live);
    lastId += 1;
    return { spec, device, id: lastId, freed: false };
  }

  function usable(caller: string, buffer: DeviceBuffer): JaxlibBuffer {
    const own = buffer as JaxlibBuffer;
    if (own.freed) throw new Error(`${caller}: the buffer was freed or donated`);
    return own;
  }

  function markFreed(buffer: JaxlibBuffer): void {
    buffer.freed = true;
    live -= byteSize(buffer.spec);
  }

  function downloadSync(buffer: DeviceBuffer): HostArray {
    const bytes = channel.request({ operation: 'download', id: usable('download', buffer).id });
    return hostArray(buffer.spec, bytes.buffer);
  }

  return {
    platform: 'cpu',
    deviceKind: 'cpu',
    deviceCount: devices,
    processes,

    compile(module, { replicas = 1, flags = {}, inputs, outputs }): JaxlibExecutable {
      lastId += 1;
      const id = lastId;
      const start = performance.now();
      channel.request({ operation: 'compile_program', id, module, replicas, flags });
      return {
        id,
        replicas,
        inputs,
        outputs,
        cached: false,
        compileSeconds: (performance.now() - start) / 1000,
        memory: () => undefined,
        dispose: () => void channel.request({ operation: 'free', ids: [id] }),
      };
    },

    upload(data, spec, device = 0) {
      assertHostArray('upload', data, spec);
      const buffer = adopt(spec, device);
      channel.request({ operation: 'upload', id: buffer.id, type: spec.type, shape: spec.shape, device }, data);
      return buffer;
    },

    execute(executable, inputs, donated = []) {
      const { id, outputs, replicas } = executable as JaxlibExecutable;
      const own = replicasOfProcess('execute', processes ?? oneProcess, replicas);
      if (inputs.length !== own) {
        throw new Error(`execute: inputs must have one list per replica (${own}), got ${inputs.length}`);
      }
      const taken = inputs.map((list) => list.map((buffer) => usable('execute', buffer)));
      const dead = taken.flatMap((list) => donated.map((index) => list[index]!));
      const results = inputs.map((_, device) => outputs.map((spec) => adopt(spec, device)));
      channel.request({
        operation: 'execute',
        executable: id,
        replicas,
        inputs: taken.map((list) => list.map((buffer) => buffer.id)),
        outputs: results.map((list) => list.map((buffer) => buffer.id)),
        donated: dead.map((buffer) => buffer.id),
      });
      dead.forEach(markFreed);
      return results;
    },

    download: async (buffer) => downloadSync(buffer),
    downloadSync,

    free(buffer) {
      const own = buffer as JaxlibBuffer;
      if (own.freed) return;
      markFreed(own);
      channel.request({ operation: 'free', ids: [own.id] });
    },

    memory: () => ({ bytesInUse: live, peakBytesInUse: peak, bytesLimit: Number.POSITIVE_INFINITY }),
    liveObjects: () => JSON.parse(new TextDecoder().decode(channel.request({ operation: 'count' }))) as number,
    dispose: () => channel.close(),
  };
}
