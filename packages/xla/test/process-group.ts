/**
 * Several Node processes for tests of programs that run across them: each has jaxlib's CPU devices in place of GPUs, and
 * meets the others through the rendezvous of this package.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type JoinedProcesses, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { Executor } from '../src/executor.js';
import { openRendezvous } from '../src/pjrt/rendezvous.js';
import { provideExecutor } from '../src/register.js';
import { freePort } from './free-port.js';
import { createJaxlibExecutor } from './jaxlib-executor.js';

/** One of the processes of a test, from the outside. */
export type GroupMember = {
  readonly child: ChildProcess;
  /** What the process has printed. */
  output(): string;
  /** What the process reported at its end. Rejects with its output when it ended without. */
  readonly result: Promise<unknown>;
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
};

/**
 * Starts the processes of a group.
 *
 * @param script - a module that calls `memberMain`
 * @param tasks - what each process gets
 */
export async function startGroup(script: URL, tasks: readonly object[]): Promise<GroupMember[]> {
  const port = await freePort();
  return tasks.map((task, index) => {
    const argument = JSON.stringify({ port, index, count: tasks.length, task });
    const child = fork(fileURLToPath(script), [argument], {
      execArgv: ['--conditions=@tb/source', '--import', 'tsx'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    return watch(child);
  });
}

function watch(child: ChildProcess): GroupMember {
  let text = '';
  let reported: { value: unknown } | undefined;
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (text += chunk));
  child.on('message', (value) => (reported = { value }));
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const result = exit.then(({ code, signal }) => {
    if (reported) return reported.value;
    throw new Error(`process ended with ${signal ?? code}:\n${text}`);
  });
  result.catch(() => {}); // a test may look only at the exit
  return { child, output: () => text, result, exit };
}

/** The tests compile more than they compute. */
const quickCompilation = '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true';

type MemberArgument<Task> = { port: number; index: number; count: number; task: Task };

/** The tasks of all processes have the number of devices that each of them has. */
export type MemberTask = { devices: number };

/**
 * The main function of a group's process: joins the group, makes its devices the backend, and reports what `run` returns.
 * An error of `run` ends the process with 1, after its message.
 */
export async function memberMain<Task extends MemberTask>(
  run: (task: Task, processes: JoinedProcesses) => Promise<unknown>,
): Promise<void> {
  const { port, index, count, task } = JSON.parse(process.argv[2]!) as MemberArgument<Task>;
  let executor: Executor | undefined;
  const processes = await openRendezvous({ host: '127.0.0.1', port, index, count });
  try {
    provideExecutor((group) => {
      executor = createJaxlibExecutor({ devices: task.devices, processes: group as JoinedProcesses | undefined });
      return executor;
    });
    process.env.XLA_FLAGS ??= quickCompilation;
    await useBackend('xla', { device: 'cpu', processes });
    tf.enableProdMode();
    const value = await run(task, processes);
    await new Promise((resolve) => process.send!(value ?? null, resolve));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode ||= 1;
  }
  executor?.dispose();
  if (index === 0) await new Promise((resolve) => setTimeout(resolve, 300)); // it serves the others
  process.exit();
}
