/** Compiles what was traced, on this thread or ahead of need on another, and reports it. */
import { reportCompile } from '@tb/runtime';
import { assertSameProgram } from './agreement.js';
import type { XlaBackend } from './backend.js';
import type { Executable, PendingExecutable } from './executor.js';
import { type CompiledProgram, compilerFlags, type TracedProgram, type TraceOptions } from './trace.js';

/** A program that another thread compiles. `wait` blocks until it is ready. */
export type PendingProgram = {
  ready: Promise<CompiledProgram>;
  wait(): CompiledProgram;
  cancel(): boolean;
};

type Options = TraceOptions & { name: string };

/**
 * @param start - when tracing began, as `performance.now()` counts
 * @throws the compiler's error
 */
export function compileTraced(
  backend: XlaBackend,
  traced: TracedProgram,
  options: Options,
  start: number,
): CompiledProgram {
  const { name } = options;
  try {
    const request = { ...requestOf(backend, traced, options), onBegin: reporter(name, false) };
    assertSameProgram(backend.executor, { ...request, text: traced.text });
    const executable = backend.executor.compile(traced.text, request);
    reportReady(name, executable, { isAhead: false, seconds: since(start), blockedSeconds: since(start) });
    return { ...traced, executable };
  } catch (error) {
    reportCompile({ name, isAhead: false, state: 'failed' });
    throw error;
  }
}

/**
 * Begins to compile on another thread; undefined where the executor has none.
 *
 * @param keep - called once with the finished program, which it returns
 */
export function startTraced(
  backend: XlaBackend,
  traced: TracedProgram,
  options: Options,
  start: number,
  keep: (program: CompiledProgram) => CompiledProgram,
): PendingProgram | undefined {
  const { name } = options;
  const request = { ...requestOf(backend, traced, options), onBegin: reporter(name, true) };
  const pending: PendingExecutable | undefined = backend.executor.startCompiling?.(traced.text, request);
  if (!pending) return undefined;
  let blockedSeconds = since(start);
  let program: CompiledProgram | undefined;
  const finish = (executable: Executable): CompiledProgram => {
    if (program) return program;
    reportReady(name, executable, { isAhead: true, seconds: since(start), blockedSeconds });
    program = keep({ ...traced, executable });
    return program;
  };
  const ready = pending.ready.then(finish);
  ready.catch(() => reportCompile({ name, isAhead: true, state: 'failed' }));
  return {
    ready,
    wait() {
      const began = performance.now();
      const executable = pending.wait();
      blockedSeconds += since(began);
      return finish(executable);
    },
    cancel: pending.cancel,
  };
}

function requestOf(backend: XlaBackend, { types }: TracedProgram, options: Options) {
  const { name, replicas } = options;
  return { ...types, replicas, name, flags: compilerFlags(backend, options) };
}

const reporter = (name: string, isAhead: boolean) => (isCached: boolean, expectedSeconds?: number) =>
  reportCompile({ name, isAhead, state: 'begun', isCached, expectedSeconds });

function reportReady(
  name: string,
  { cached }: Executable,
  times: { isAhead: boolean; seconds: number; blockedSeconds: number },
): void {
  reportCompile({ name, state: 'ready', isCached: cached, ...times });
}

const since = (start: number): number => (performance.now() - start) / 1000;
