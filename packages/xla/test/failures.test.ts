/** How a job ends when one of its processes ends, stops or hangs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { freePort } from './free-port.js';

type Fake = { child: ChildProcess; output: () => string; ended: Promise<number | string> };

/** A process of a job, which `test/fake-job.ts` runs. */
function startFake(port: number, index: number, { count = 2, steps = 100_000, hangAt = 0 } = {}): Fake {
  const script = fileURLToPath(new URL('./fake-job.ts', import.meta.url));
  const args = ['127.0.0.1', port, index, count, steps, hangAt].map(String);
  const child = spawn(process.execPath, ['--import', 'tsx', '--conditions=@tb/source', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (output += data));
  const ended = new Promise<number | string>((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal!)),
  );
  return { child, output: () => output, ended };
}

async function untilStep(fake: Fake, step: number): Promise<void> {
  while (!fake.output().includes(`step ${step}\n`)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe.concurrent('a job of two processes', { timeout: 60_000 }, () => {
  it('ends when all have finished', async () => {
    const port = await freePort();
    const fakes = [0, 1].map((index) => startFake(port, index, { steps: 3 }));
    expect(await Promise.all(fakes.map(({ ended }) => ended))).toEqual([0, 0]);
  });

  it.each([
    [0, 'SIGKILL', /the job has failed: process 0 at 127.0.0.1:\d+, last step [1-9]\d*, .* has ended without notice/],
    [1, 'SIGKILL', /the job has failed: process 1 \(host .*, PID \d+\), last step [1-9]\d*, has ended without notice/],
    [0, 'SIGSTOP', /the job has failed: process 0 at .*, last step [1-9]\d*, .* has not been heard from for \d s/],
    [1, 'SIGSTOP', /the job has failed: process 1 \(.*\), last step [1-9]\d*, has not been heard from for \d s/],
  ] as const)('ends with one sentence after process %i got %s', async (index, signal, sentence) => {
    const port = await freePort();
    const fakes = [0, 1].map((each) => startFake(port, each));
    await untilStep(fakes[0]!, 20);
    fakes[index]!.child.kill(signal);
    const survivor = fakes[1 - index]!;
    expect(await survivor.ended).toBe(75);
    expect(survivor.output()).toMatch(sentence);
    fakes[index]!.child.kill('SIGCONT'); // what wakes up afterwards ends, too
    const code = await fakes[index]!.ended;
    expect(code).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 75);
  });

  it('ends when a process hangs, also that process, whose thread never returns', async () => {
    const port = await freePort();
    const [first, second] = [startFake(port, 0), startFake(port, 1, { hangAt: 5 })];
    expect(await first.ended).toBe(75);
    expect(first.output()).toMatch(/process 1 \(.*\), last step 4, makes no progress for \d s/);
    expect(await second.ended).toBe('SIGKILL');
    expect(second.output()).toMatch(/the job has failed: process 1 .* makes no progress/);
  });
});
