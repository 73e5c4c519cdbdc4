import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { CompilePool } from './compile-pool.js';

// A compiler that takes as long as the text of a program says: `<milliseconds> <result or "fail" or "die">`.
const slowCompiler = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', ({ source, port, isDone }) => {
  const [milliseconds, result] = source.module.split(' ');
  port.postMessage({ state: 'begun', isCached: false, expectedSeconds: 1 });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(milliseconds));
  if (result === 'die') process.exit(3);
  port.postMessage(result === 'fail'
    ? { state: 'failed', message: 'PJRT_Client_Compile: INTERNAL: no such kernel', status: { code: 'INTERNAL', apiFunction: 'PJRT_Client_Compile' } }
    : { state: 'ready', program: { loaded: BigInt(result), cached: false, seconds: 0 } });
  Atomics.store(isDone, 0, 1);
  Atomics.notify(isDone, 0);
});`;

const source = (module: string) => ({ module, options: new Uint8Array(), key: module });

describe('CompilePool', () => {
  let pool: CompilePool;
  let started = 0;
  const open = (threads: number) => {
    started = 0;
    const startThread = () => {
      started += 1;
      return new Worker(slowCompiler, { eval: true, execArgv: [] });
    };
    pool = new CompilePool(startThread, threads, ({ module }) => {
      const [, result] = module.split(' ');
      if (result === 'fail') throw new Error('failed here');
      return { loaded: BigInt(result) + 100n, cached: false, seconds: 0 };
    });
  };
  afterEach(() => void pool.close());

  it('compiles as many programs at once as there are threads, in order, while this thread is free', async () => {
    open(2);
    const begun: string[] = [];
    const done: string[] = [];
    const programs = ['300 1', '100 2', '100 3', '10 4'].map((module) => {
      const pending = pool.start(source(module), (isCached, seconds) =>
        begun.push(`${module}, ${isCached}, ${seconds}`),
      );
      return pending.ready.then(({ loaded }) => done.push(`${loaded}`));
    });
    let ticks = 0;
    const ticker = setInterval(() => (ticks += 1), 10);
    await Promise.all(programs);
    clearInterval(ticker);
    const order = ['300 1', '100 2', '100 3', '10 4'].map((module) => `${module}, false, 1`);
    expect(begun.toSorted()).toEqual(order.toSorted());
    expect(begun.slice(2)).toEqual(order.slice(2)); // the first two begin together
    expect(done).toEqual(['2', '3', '4', '1']);
    expect(started).toBe(2);
    expect(ticks).toBeGreaterThan(10);
  });

  it('delivers the error of one program, and compiles the others', async () => {
    open(1);
    const [first, failing, last] = ['10 1', '10 fail', '10 3'].map((module) => pool.start(source(module)));
    await expect(failing.ready).rejects.toMatchObject({
      name: 'PjrtError',
      code: 'INTERNAL',
      message: 'PJRT_Client_Compile: INTERNAL: no such kernel',
    });
    expect((await first.ready).loaded).toBe(1n);
    expect((await last.ready).loaded).toBe(3n);
    expect(started).toBe(1);
  });

  it('blocks where a program is needed at once, and compiles it here if no thread has begun it', async () => {
    open(1);
    const [running, queued, failing] = ['100 1', '100 2', '100 fail'].map((module) => pool.start(source(module)));
    expect(queued.wait().loaded).toBe(102n);
    expect(() => failing.wait()).toThrow('failed here');
    expect(running.wait().loaded).toBe(1n);
    expect((await running.ready).loaded).toBe(1n);
    expect(running.wait().loaded).toBe(1n);
    await expect(failing.ready).rejects.toThrow('failed here');
  });

  it('gives up programs that no thread has begun', async () => {
    open(1);
    const [running, queued, next] = ['50 1', '50 2', '50 3'].map((module) => pool.start(source(module)));
    expect([running.cancel(), queued.cancel(), queued.cancel()]).toEqual([false, true, false]);
    await expect(queued.ready).rejects.toMatchObject({ name: 'AbortError' });
    expect((await next.ready).loaded).toBe(3n);
  });

  it('fails the program whose thread ends, and starts another thread for the next', async () => {
    open(1);
    const [dying, next] = ['10 die', '10 2'].map((module) => pool.start(source(module)));
    await expect(dying.ready).rejects.toThrow('a compiling thread ended: exit code 3');
    expect((await next.ready).loaded).toBe(2n);
    expect(started).toBe(2);
  });

  it('waits for what runs when it is closed, and returns it', async () => {
    open(1);
    const [running, queued] = ['50 1', '50 2'].map((module) => pool.start(source(module)));
    expect(pool.close().map(({ loaded }) => loaded)).toEqual([1n]);
    await expect(queued.ready).rejects.toThrow('the executor was closed');
    await running.ready;
  });
});
