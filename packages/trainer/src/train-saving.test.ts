// Checkpoints that are written while training continues: whatever happens meanwhile, a run is left as if it had waited.
import { cpSync, mkdtempSync, readdirSync, renameSync } from 'node:fs';
import type * as files from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, mapTree, type TensorTree, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ToyTask, toyOptions, toyTask } from '../test/toy-task.js';
import { createRunLog } from './log/run-log.js';
import type { TrainOptions } from './task.js';
import { type TrainResult, train } from './train.js';

/** What happens to an operation on a file or folder among the checkpoints; set by each test. */
const { disk } = vi.hoisted(() => ({ disk: { before: async (_name: string, _path: string): Promise<void> => {} } }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof files>();
  const watched = (name: 'mkdir' | 'open' | 'readdir' | 'rename' | 'rm' | 'stat') => [
    name,
    async (...args: never[]) => {
      if (String(args[0]).includes('checkpoints')) await disk.before(name, String(args[0]));
      return (original[name] as (...args: never[]) => unknown)(...args);
    },
  ];
  const names = ['mkdir', 'open', 'readdir', 'rename', 'rm', 'stat'] as const;
  return { ...original, ...Object.fromEntries(names.map(watched)) };
});

beforeAll(() => useBackend('cpu'));
afterEach(() => {
  disk.before = async () => {};
});

const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-saving-'));
const logOf = (out: string) => createRunLog({ out, title: 'toy', config: {}, terminal: { write: () => {} } });
const checkpointsIn = (out: string) => readdirSync(join(out, 'checkpoints')).sort();
const isOfStep = (path: string, step: number) => path.includes(`.step-${String(step).padStart(8, '0')}.`);

function run(out: string, task: Partial<ToyTask> = {}, options: Partial<TrainOptions> = {}, signal?: AbortSignal) {
  const all = toyOptions(out, { steps: 12, saveInBackground: true, ...options });
  return train({ ...toyTask(), ...task }, all, logOf(out), signal);
}

function weightsOf({ state }: TrainResult<TensorTree>) {
  const weights = mapTree((leaf: tf.Tensor) => [...leaf.dataSync()], state);
  disposeTree(state);
  return weights;
}

/** A gate that holds everything that a test sends through it, until it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, pass: () => opened };
}

/** A task that calls `onStep` with the number of each step that begins, from 1. */
function counted(onStep: (step: number) => void): Partial<ToyTask> {
  const task = toyTask();
  let step = 0;
  return {
    loss: (...inputs) => {
      onStep(++step);
      return task.loss(...inputs);
    },
  };
}

describe('a checkpoint that is written in the background', () => {
  it('lets training continue, holds what was copied, and makes the next one wait', async () => {
    const out = newFolder();
    const held = gate();
    const events: string[] = [];
    disk.before = async (name, path) => {
      if (name === 'mkdir' && isOfStep(path, 4)) await held.pass();
      if (name === 'mkdir') events.push(path.replace(/.*\.(step-\d+)\..*/, '$1'));
    };
    const running = run(
      out,
      counted((step) => void events.push(`${step}`)),
    );
    await vi.waitFor(() => expect(events).toContain('8'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(events.filter((event) => !event.includes('checkpoints'))).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect(checkpointsIn(out)).toEqual([]);
    held.open();
    const inBackground = weightsOf(await running);
    expect(events.indexOf('step-00000008')).toBeGreaterThan(events.indexOf('step-00000004'));
    expect(events.filter((event) => event.startsWith('step'))).toEqual(
      [4, 8, 12].map((n) => `step-${String(n).padStart(8, '0')}`),
    );
    expect(checkpointsIn(out)).toEqual(['step-00000008', 'step-00000012']);

    const waited = newFolder();
    expect(weightsOf(await run(waited, {}, { saveInBackground: false }))).toEqual(inBackground);
    const resumed = await run(out, {}, { resume: true });
    expect(weightsOf(resumed)).toEqual(inBackground);
  });

  it('ends the run when any of its operations fails, with the sentence of a run that waits', async () => {
    const before = tf.memory().numTensors;
    const attempt = async (refused: number, saveInBackground: boolean) => {
      const out = newFolder();
      let calls = 0;
      disk.before = async (name, path) => {
        if (isOfStep(path, 8) && ++calls === refused) {
          throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO', path, syscall: name });
        }
      };
      const outcome = await run(out, {}, { saveInBackground }).then(
        (result) => void disposeTree(result.state),
        (error: Error) => error.message.replaceAll(out, '').replaceAll(/\.[0-9a-f]{8}/g, ''),
      );
      disk.before = async () => {};
      return { outcome, refusedOne: calls >= refused, left: checkpointsIn(out).map((name) => name.slice(0, 14)) };
    };
    let failures = 0;
    for (let refused = 1; ; refused++) {
      const waiting = await attempt(refused, false);
      const background = await attempt(refused, true);
      expect(background).toEqual(waiting);
      if (!waiting.refusedOne) break;
      if (waiting.outcome === undefined) continue; // such as removing what was not there
      failures++;
      expect(waiting.outcome).toMatch(/^checkpoint .*step-00000008 cannot be written: /);
      expect(waiting.left).toContain('step-00000004');
    }
    expect(failures).toBeGreaterThan(10);
    expect(tf.memory().numTensors).toBe(before);
  }, 60_000);

  it('is complete when a stopped run returns', async () => {
    const out = newFolder();
    const held = gate();
    const abort = new AbortController();
    disk.before = async (name, path) => {
      if (name === 'mkdir' && isOfStep(path, 4)) await held.pass();
    };
    let returned = false;
    const stopAt6 = counted((step) => step === 6 && abort.abort());
    const running = run(out, stopAt6, {}, abort.signal).finally(() => {
      returned = true;
    });
    await vi.waitFor(() => expect(abort.signal.aborted).toBe(true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(returned).toBe(false);
    held.open();
    const { state, stopped, progress } = await running;
    disposeTree(state);
    expect([stopped, progress.step]).toEqual([true, 6]);
    expect(checkpointsIn(out)).toEqual(['step-00000004', 'step-00000006']);
  });

  it.each<[string, Partial<TrainOptions>, Partial<ToyTask>, RegExp]>([
    [
      'an error',
      {},
      counted((step) => {
        if (step === 6) throw new Error('out of order');
      }),
      /out of order/,
    ],
    ['a loss that is not finite', {}, toyTask({ poisonedStep: (step) => step === 5 }), /the loss of step 6 is NaN/],
  ])('is complete when %s ends the run', async (_, options, task, message) => {
    const out = newFolder();
    const held = gate();
    disk.before = async (name, path) => {
      if (name === 'mkdir' && isOfStep(path, 4)) await held.pass();
    };
    const before = tf.memory().numTensors;
    const running = run(out, task, options).catch((error: Error) => error);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(checkpointsIn(out)).toEqual([]);
    held.open();
    expect(((await running) as Error).message).toMatch(message);
    expect(checkpointsIn(out)).toEqual(['step-00000004']);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('is what a run rolls back to, once it is written', async () => {
    const out = newFolder();
    let poison = 1;
    disk.before = (name) => new Promise((resolve) => setTimeout(resolve, name === 'mkdir' ? 50 : 0));
    const task = toyTask({ poisonedStep: (step) => step === 5 && poison-- > 0 });
    const { state, progress } = await run(out, task, { nanRetries: 1 });
    disposeTree(state);
    expect(progress).toMatchObject({ step: 12, retries: 1 });
  });

  it('is passed over when the process was killed at any of its operations', async () => {
    const whole = weightsOf(await run(newFolder()));
    for (let killed = 1; ; killed++) {
      const out = newFolder();
      let calls = 0;
      const dead = gate();
      let died = false;
      // A process that is killed makes no further operation: those of this run wait for ever.
      disk.before = async (_, path) => {
        if (died || (isOfStep(path, 8) && ++calls === killed)) {
          died = true;
          dead.open();
          await new Promise(() => {});
        }
      };
      const ended = run(out).then(weightsOf);
      if ((await Promise.race([ended, dead.pass().then(() => 'dead')])) !== 'dead') break;
      disk.before = async () => {};
      expect(checkpointsIn(out)).toContain('step-00000004');
      expect(weightsOf(await run(out, {}, { resume: true }))).toEqual(whole);
      expect(checkpointsIn(out)).toEqual(['step-00000008', 'step-00000012']);
    }
  }, 60_000);

  it('leaves old checkpoints that a resumed run removes, also where nothing is left to train', async () => {
    const out = newFolder();
    const whole = weightsOf(await run(out));
    const at = (name: string) => join(out, 'checkpoints', name);
    // Killed after the last checkpoint got its name, with the one of its step set aside, and before anything was removed.
    cpSync(at('step-00000008'), at('step-00000004'), { recursive: true });
    cpSync(at('step-00000008'), at('.step-00000008.0123abcd.tmp'), { recursive: true });
    renameSync(at('step-00000012'), at('.step-00000012.0123abcd.tmp.old'));
    expect(weightsOf(await run(out, {}, { resume: true }))).toEqual(whole);
    expect(checkpointsIn(out)).toEqual(['step-00000008', 'step-00000012']);
  });
});
