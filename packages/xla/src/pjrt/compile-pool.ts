/**
 * Threads that compile. PJRT's clients may be called from any thread, and a compilation blocks its caller for as long as it
 * takes; here that is a Worker. Threads are started as programs arrive, and end when nothing is left to compile.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { startWorker } from '@tb/runtime';
import type { CompileAnswer, CompileJob, CompileWorkerData } from './compile-worker.js';
import { PjrtError } from './errors.js';
import type { ProgramSource, TimedProgram } from './load-or-compile.js';

/** Called when a program begins, on the thread of the pool while its event loop runs; as in `CompileOptions`. */
type OnBegin = (isCached: boolean, expectedSeconds?: number) => void;

/** A program on its way. */
export type PendingLoad = {
  /** Rejects with the compiler's error, or with an `AbortError` when it was cancelled. */
  readonly ready: Promise<TimedProgram>;
  /** Blocks this thread until the program is ready. @throws as `ready` rejects */
  wait(): TimedProgram;
  /** Gives the program up if no thread has begun it. @returns whether that was so */
  cancel(): boolean;
};

/** Starts a thread that compiles for the client behind these addresses. */
export const startCompileThread = (workerData: CompileWorkerData): Worker =>
  startWorker(new URL('./compile-worker.js', import.meta.url), { workerData });

/** One program: its channel to the thread that compiles it, and its outcome once that is known. */
class Job {
  readonly ready: Promise<TimedProgram>;
  outcome?: { program: TimedProgram } | { error: Error };
  private readonly port: MessagePort;
  private readonly transfer: MessagePort;
  private readonly isDone = new Int32Array(new SharedArrayBuffer(4));
  private resolve!: (program: TimedProgram) => void;
  private reject!: (error: Error) => void;

  constructor(
    readonly source: ProgramSource,
    private readonly onBegin: OnBegin | undefined,
    private readonly onEnd: (job: Job) => void,
  ) {
    const { port1, port2 } = new MessageChannel();
    [this.port, this.transfer] = [port1, port2];
    this.ready = new Promise((resolve, reject) => {
      [this.resolve, this.reject] = [resolve, reject];
    });
    this.ready.catch(() => undefined); // the error reaches those who await `ready` or call `wait`
    this.port.on('message', (answer: CompileAnswer) => this.take(answer));
  }

  sendTo(worker: Worker): void {
    const { source, transfer: port, isDone } = this;
    worker.postMessage({ source, port, isDone } satisfies CompileJob, [port]);
  }

  /** Sleeps until the thread has given its last answer. */
  waitForAnswers(): void {
    Atomics.wait(this.isDone, 0, 0);
    for (let next = receiveMessageOnPort(this.port); next; next = receiveMessageOnPort(this.port)) {
      this.take(next.message as CompileAnswer);
    }
  }

  succeed(program: TimedProgram): void {
    if (this.settle({ program })) this.resolve(program);
  }

  fail(error: Error): void {
    if (this.settle({ error })) this.reject(error);
  }

  private take(answer: CompileAnswer): void {
    if (answer.state === 'begun') this.onBegin?.(answer.isCached, answer.expectedSeconds);
    else if (answer.state === 'ready') this.succeed(answer.program);
    else this.fail(errorOf(answer));
  }

  private settle(outcome: NonNullable<Job['outcome']>): boolean {
    if (this.outcome) return false;
    this.outcome = outcome;
    this.port.close();
    this.onEnd(this);
    return true;
  }
}

/** Compiles programs on a number of threads. */
export class CompilePool {
  private readonly queue: Job[] = [];
  private readonly running = new Map<Worker, Job>();

  /**
   * @param startThread - starts a thread that answers a `CompileJob` with `CompileAnswer`s
   * @param threads - how many programs compile at once
   * @param compileHere - compiles on the calling thread: for `wait` on a program that no thread has begun
   */
  constructor(
    private readonly startThread: () => Worker,
    private readonly threads: number,
    private readonly compileHere: (source: ProgramSource) => TimedProgram,
  ) {}

  /** Hands a program to the next free thread; programs begin in the order of these calls. */
  start(source: ProgramSource, onBegin?: OnBegin): PendingLoad {
    const job = new Job(source, onBegin, (ended) => this.release(ended));
    this.queue.push(job);
    if (this.running.size < this.threads) this.beginNext();
    return {
      ready: job.ready,
      wait: () => this.waitFor(job),
      cancel: () => {
        if (!this.unqueue(job)) return false;
        job.fail(new DOMException('the program was given up before its compilation began', 'AbortError'));
        return true;
      },
    };
  }

  /** Gives up what no thread has begun, and waits for the rest. @returns what became ready meanwhile */
  close(): TimedProgram[] {
    for (const job of this.queue.splice(0)) job.fail(new DOMException('the executor was closed', 'AbortError'));
    return [...this.running.values()].flatMap((job) => {
      job.waitForAnswers();
      return job.outcome && 'program' in job.outcome ? [job.outcome.program] : [];
    });
  }

  /** Gives the oldest program to an idle thread, or to a new one; a thread for which there is none ends. */
  private beginNext(idle?: Worker): void {
    const job = this.queue.shift();
    if (!job) return void idle?.terminate();
    const worker = idle ?? this.openThread();
    this.running.set(worker, job);
    job.sendTo(worker);
  }

  private openThread(): Worker {
    const worker = this.startThread();
    worker.unref();
    const end = (reason: string) => {
      const job = this.running.get(worker);
      this.running.delete(worker);
      job?.fail(new Error(`a compiling thread ended: ${reason}`));
      if (job && this.queue.length > 0) this.beginNext();
    };
    worker.on('error', (error) => end(error instanceof Error ? error.message : String(error)));
    worker.on('exit', (code) => end(`exit code ${code}`));
    return worker;
  }

  private release(job: Job): void {
    for (const [worker, own] of this.running) {
      if (own !== job) continue;
      this.running.delete(worker);
      this.beginNext(worker);
    }
  }

  private unqueue(job: Job): boolean {
    const place = this.queue.indexOf(job);
    if (place >= 0) this.queue.splice(place, 1);
    return place >= 0;
  }

  private waitFor(job: Job): TimedProgram {
    if (this.unqueue(job)) this.compileNow(job);
    else if (!job.outcome) job.waitForAnswers();
    const { outcome } = job;
    if (!outcome) throw new Error('a compiling thread ended without an answer');
    if ('error' in outcome) throw outcome.error;
    return outcome.program;
  }

  private compileNow(job: Job): void {
    try {
      job.succeed(this.compileHere(job.source));
    } catch (error) {
      job.fail(error as Error);
    }
  }
}

function errorOf({ message, status }: Extract<CompileAnswer, { state: 'failed' }>): Error {
  if (!status) return new Error(message);
  const prefix = `${status.apiFunction}: ${status.code}: `;
  return new PjrtError(status.apiFunction, status.code, message.slice(prefix.length));
}
