import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { koffi } from '../src/pjrt/koffi.js';
import { configureStacks } from '../src/pjrt/memory.js';
import { createPjrtExecutor, type PjrtExecutor } from '../src/pjrt/pjrt-executor.js';

const folder = mkdtempSync(join(tmpdir(), 'slow-plugin-'));
const library = join(folder, 'slow-plugin.so');

function buildPlugin(): boolean {
  const source = fileURLToPath(new URL('./slow-plugin.c', import.meta.url));
  const { status } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source]);
  if (status !== 0) console.warn('no C compiler (cc): the tests of compiling threads are skipped');
  return status === 0;
}

const pair = { type: 'f32', shape: [2] } as const;
const types = { inputs: [pair], outputs: [pair] };

describe.skipIf(!buildPlugin())('compiling on other threads, with a plugin in C', () => {
  let executor: PjrtExecutor;
  let count: (name: 'live_programs' | 'most_compiling') => number;
  beforeAll(() => {
    configureStacks();
    const functions = koffi.load(library);
    count = (name) => functions.func(name, 'int', [])() as number;
  });
  beforeEach(() => {
    executor = createPjrtExecutor({ plugin: library, cacheFolder: join(folder, 'cache'), compileThreads: 3 });
  });
  afterEach(() => {
    executor.dispose();
    expect(count('live_programs')).toBe(0);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const start = (module: string, begun: boolean[] = []) =>
    executor.startCompiling!(module, { ...types, name: 'slow', onBegin: (isCached) => void begun.push(isCached) });

  it('compiles several programs at once while this thread is free, and keeps them in the cache folder', async () => {
    const texts = [1, 2, 3, 4].map((number) => `results=1 number=${number} sleep=600`);
    let ticks = 0;
    const ticker = setInterval(() => (ticks += 1), 10);
    const programs = await Promise.all(texts.map((text) => start(text).ready));
    clearInterval(ticker);
    expect(programs.map(({ cached, outputs }) => [cached, outputs.length])).toEqual(texts.map(() => [false, 1]));
    expect(count('most_compiling')).toBeGreaterThan(1);
    expect(ticks).toBeGreaterThan(5);
    for (const program of programs) program.dispose();
    expect(count('live_programs')).toBe(0);
    const begun: boolean[] = [];
    const again = await Promise.all(texts.map((text) => start(text, begun).ready));
    expect([...again.map(({ cached }) => cached), ...begun]).toEqual(Array(8).fill(true));
    expect(executor.compile(texts[0], types).cached).toBe(true);
    expect(readdirSync(join(folder, 'cache')).filter((name) => name.endsWith('.program'))).toHaveLength(4);
  });

  it('delivers the errors of one program', async () => {
    const [broken, wrong, sound] = ['gibberish', 'results=2', 'results=1'].map((text) => start(text));
    await expect(broken.ready).rejects.toMatchObject({ name: 'PjrtError', code: 'INVALID_ARGUMENT' });
    await expect(wrong.ready).rejects.toThrow("outputs must describe the module's 2 results, got 1");
    expect((await sound.ready).replicas).toBe(1);
  });

  it('blocks this thread where a program is needed at once', async () => {
    const pending = start('results=1 sleep=301');
    const program = pending.wait();
    expect(await pending.ready).toBe(program);
    expect(() => start('gibberish').wait()).toThrow('PJRT_Client_Compile: INVALID_ARGUMENT: no results');
  });

  it('waits for what compiles before it closes, and gives up the rest', async () => {
    const [running, queued] = Array.from({ length: 4 }, (_, number) => start(`results=1 sleep=${310 + number}`)).slice(
      2,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    executor.dispose();
    await expect(running.ready).rejects.toThrow('the executor was disposed');
    await expect(queued.ready).rejects.toThrow('the executor was closed');
  });
});
