/** Training on several processes: each is a Node process with devices of XLA's CPU client, which meet through gloo. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeImage } from '@tb/images';
import { expectClose } from '@tb/test-utils';
import { describe, expect, it } from 'vitest';
import { jaxlibPython } from '../../xla/test/jaxlib-executor.js';
import { startGroup } from '../../xla/test/process-group.js';
import { readRecords } from '../src/log/json-lines.js';
import type { TrainReport, TrainTask } from './train-member.js';

const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-processes-'));
const script = new URL('./train-member.ts', import.meta.url);
type Run = { out: string; reports: TrainReport[] };

/**
 * Trains in one process for each number of devices.
 *
 * @param changes - what is different for a process
 */
async function start(devices: readonly number[], task: Omit<TrainTask, 'devices'>, changes: Partial<TrainTask>[] = []) {
  const tasks = devices.map((own, index): TrainTask => ({ ...task, devices: own, ...changes[index] }));
  return startGroup(script, tasks);
}

async function run(...args: Parameters<typeof start>): Promise<Run> {
  const group = await start(...args);
  const reports = (await Promise.all(group.map(({ result }) => result))) as TrainReport[];
  return { out: args[1].out, reports };
}

/** All weights in the order of their names: a resumed run holds them in the order of its checkpoint. */
const valuesOf = (weights: TrainReport['weights']) =>
  Object.keys(weights)
    .sort()
    .flatMap((name) => weights[name]);

/** Losses and weights are those of another run, up to rounding, and equal bit for bit in all processes. */
function expectSameRun({ reports }: Run, { reports: [expected] }: Run): void {
  for (const { losses, weights, step } of reports) {
    expect(step).toBe(expected.step);
    const own = losses.filter((loss) => loss !== null); // not those before a resume
    expectClose(own, expected.losses.slice(-own.length), 1e-5, 'losses');
    // Together: a key's bias, which changes no attention, has only rounding for a gradient.
    expectClose(valuesOf(weights), valuesOf(expected.weights), 2e-5, 'weights');
    expect(weights).toEqual(reports[0].weights);
  }
}

const stepsOf = ({ out }: Run) =>
  readRecords(join(out, 'log.jsonl'))
    .filter(({ event }) => event === 'step')
    .map(({ step }) => step);
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe.skipIf(!jaxlibPython())('training on several processes', { timeout: 300_000 }, () => {
  it('two and three processes train the small model as one with as many devices, and draw the same images', async () => {
    // Where a gradient is nearly zero, AdamW with a small epsilon would blow up its last digit.
    const adamw = { betas: [0.9, 0.95], epsilon: 1e-3, weightDecay: 0.02 } as const;
    const train = (devices: number[]) =>
      run(devices, { model: 'small', out: newFolder(), options: { steps: 3, drawEvery: 3, adamw } });
    const image = async ({ out }: Run) => (await decodeImage(join(out, 'samples/step-00000003.png'))).data;
    const expected = await train([6]);
    for (const devices of [
      [3, 3],
      [2, 2, 2],
    ]) {
      const together = await train(devices);
      expectSameRun(together, expected);
      const [pixels, before] = [await image(together), await image(expected)];
      expect(Math.max(...pixels.map((value, at) => Math.abs(value - before[at])))).toBeLessThanOrEqual(1);
      for (const { rows } of together.reports) expect(new Set(rows)).toEqual(new Set([12 / devices.length]));
      expect(stepsOf(together)).toEqual([1, 2, 3]); // written by one process
    }
  });

  const toy = (out: string, options: TrainTask['options'] = {}): Omit<TrainTask, 'devices'> => ({
    model: 'toy',
    out,
    options: { steps: 10, ...options },
  });

  it('a run resumes in another number of processes, also where they do not share its folder', async () => {
    const expected = await run([2], toy(newFolder()));
    const out = newFolder();
    await run([2], toy(out, { steps: 6 }));
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['step-00000004', 'step-00000006']);
    const elsewhere = newFolder();
    await run([1, 1], toy(out, { steps: 8, resume: true, lossDelay: 2 }), [{}, { out: elsewhere }]);
    expect(readdirSync(elsewhere, { recursive: true })).toEqual(['checkpoints']); // nothing stays of what was sent
    const resumed = await run([2], toy(out, { resume: true }));
    expectSameRun(resumed, expected);
    expect(stepsOf(resumed)).toEqual(upTo(10));
  });

  it('a loss that is not finite in one process rolls all of them back at the same step', async () => {
    const poison = [{ poisonedStep: 7 }, {}];
    const rolledBack = await run([1, 1], toy(newFolder(), { nanRetries: 1, lossDelay: 2 }), poison);
    const expected = await run([2], { ...toy(newFolder(), { nanRetries: 1, lossDelay: 2 }), ...poison[0] });
    expect(rolledBack.reports.map(({ retries }) => retries)).toEqual([1, 1]);
    expectSameRun(rolledBack, expected);
  });

  it('SIGTERM to any process saves once, and stops all after the same step', async () => {
    const out = newFolder();
    const stopped = await run([1, 1], toy(out, { steps: 1000, checkpointEvery: 1000, lossDelay: 3 }), [
      {},
      { stopAtStep: 5 },
    ]);
    const [{ step }] = stopped.reports;
    expect(step).toBeGreaterThanOrEqual(5);
    expect(stopped.reports.map((report) => [report.stopped, report.step])).toEqual([
      [true, step],
      [true, step],
    ]);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual([`step-${String(step).padStart(8, '0')}`]);
    expect(stepsOf(stopped)).toEqual(upTo(step));
  });

  it('processes with other options are refused, in all of them', async () => {
    const group = await start([1, 1], toy(newFolder()), [{}, { options: { steps: 11 } }]);
    for (const { exit, output } of group) {
      expect((await exit).code).toBe(1);
      expect(output()).toContain('process 1 has another length than process 0');
    }
  });
});
