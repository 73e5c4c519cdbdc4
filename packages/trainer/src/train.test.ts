import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, mapTree, type TensorTree, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { batchSize, samples, toyOptions, toyTask } from '../test/toy-task.js';
import { readRecords } from './log/json-lines.js';
import { createRunLog } from './log/run-log.js';
import { NonFiniteLossError } from './loss-queue.js';
import { type TrainResult, train } from './train.js';

const newFolder = () => mkdtempSync(join(tmpdir(), 'tb-train-'));
const logOf = (out: string, say: (text: string) => void = () => {}) =>
  createRunLog({ out, title: 'toy', config: {}, terminal: { write: say } });
const lossesOf = (out: string) =>
  readRecords(join(out, 'log.jsonl'))
    .filter(({ event }) => event === 'step')
    .map(({ step, loss }) => `${step} ${loss}`);
const weightsOf = ({ state }: TrainResult<TensorTree>) => mapTree((leaf: tf.Tensor) => [...leaf.dataSync()], state);

describe('train', () => {
  beforeAll(() => useBackend('cpu'));

  it('lowers the loss and leaves no tensors behind', async () => {
    const before = tf.memory().numTensors;
    const out = newFolder();
    const result = await train(
      toyTask(),
      toyOptions(out, { steps: 60, schedule: { kind: 'constant', peak: 0.05, minimum: 0, warmup: 5, total: 60 } }),
      logOf(out),
    );
    const losses = readRecords(join(out, 'log.jsonl')).filter(({ event }) => event === 'step');
    expect(Number(losses.at(-1)?.smoothedLoss)).toBeLessThan(Number(losses[0].smoothedLoss));
    disposeTree(result.state);
    expect(tf.memory().numTensors).toBe(before);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['step-00000056', 'step-00000060']);
  });

  it('continues exactly after a stop in the middle of an epoch', async () => {
    const whole = newFolder();
    const uninterrupted = await train(toyTask(), toyOptions(whole), logOf(whole));
    const out = newFolder();
    const abort = new AbortController();
    const stopAt = (step: number) => step === 9 && abort.abort(); // made ahead of time: the run stops a few steps before
    const task = toyTask({ onBatch: stopAt });
    const first = await train(task, toyOptions(out), logOf(out), abort.signal);
    expect(first.stopped).toBe(true);
    expect(first.progress.step).toBeGreaterThan(4);
    expect(first.progress.step).toBeLessThan(12);
    expect((first.progress.step * batchSize) % samples).not.toBe(0);
    const second = await train(toyTask(), toyOptions(out, { resume: true }), logOf(out));
    expect(second.stopped).toBe(false);
    expect(lossesOf(out)).toEqual(lossesOf(whole));
    expect(weightsOf(second)).toEqual(weightsOf(uninterrupted));
    disposeTree([uninterrupted, first, second].map(({ state }) => state));
  });

  it('reads losses late without changing them', async () => {
    const [early, late] = [newFolder(), newFolder()];
    disposeTree((await train(toyTask(), toyOptions(early), logOf(early))).state);
    disposeTree((await train(toyTask(), toyOptions(late, { lossDelay: 3 }), logOf(late))).state);
    expect(lossesOf(late)).toEqual(lossesOf(early));
  });

  it('stops at a loss that is not finite, names step and batch, and keeps the last good checkpoint', async () => {
    const before = tf.memory().numTensors;
    const out = newFolder();
    const running = train(toyTask({ poisonedStep: (step) => step === 9 }), toyOptions(out), logOf(out));
    await expect(running).rejects.toThrow(/the loss of step 10 is NaN; its batch: samples \d/);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['step-00000004', 'step-00000008']);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('rolls back and tries again as often as it may', async () => {
    const out = newFolder();
    let poison = 1;
    const task = toyTask({ poisonedStep: (step) => step === 9 && poison-- > 0 });
    const said: string[] = [];
    const result = await train(
      task,
      toyOptions(out, { nanRetries: 2 }),
      logOf(out, (text) => said.push(text)),
    );
    expect(result.progress).toMatchObject({ step: 20, retries: 1 });
    expect(said.join('')).toContain('Rolled back to step 8, retry 1 of 2');
    expect(lossesOf(out)).toHaveLength(20);
    disposeTree(result.state);

    const always = train(
      toyTask({ poisonedStep: (step) => step === 9 }),
      toyOptions(newFolder(), { nanRetries: 2 }),
      logOf(newFolder()),
    );
    await expect(always).rejects.toThrow(NonFiniteLossError);
  });

  it('falls back to the checkpoint before a damaged one, and refuses when none is intact', async () => {
    const out = newFolder();
    disposeTree((await train(toyTask(), toyOptions(out), logOf(out))).state);
    const damage = (step: string) => {
      const file = join(out, 'checkpoints', step, 'optimizer.safetensors');
      const bytes = readFileSync(file);
      bytes[bytes.length - 1] ^= 1;
      writeFileSync(file, bytes);
    };
    damage('step-00000020');
    const again = await train(toyTask(), toyOptions(out, { resume: true }), logOf(out));
    expect(lossesOf(out)).toHaveLength(20);
    disposeTree(again.state);
    damage('step-00000020');
    damage('step-00000016');
    const refused = train(toyTask(), toyOptions(out, { resume: true }), logOf(out));
    await expect(refused).rejects.toThrow(/no checkpoint is intact: .*optimizer.safetensors does not have the SHA-256/);
  });

  it('refuses to resume parameters of other shapes', async () => {
    const out = newFolder();
    const shapes = { weight: [1, 4], bias: [4] };
    disposeTree((await train(toyTask(), toyOptions(out, { shapes, steps: 4 }), logOf(out))).state);
    const before = tf.memory().numTensors;
    const resume = (changed: Record<string, number[]>) =>
      train(toyTask(), toyOptions(out, { resume: true, shapes: changed }), logOf(out));
    await expect(resume({ ...shapes, bias: [5] })).rejects.toThrow(/of other sizes.*: bias must be \[5\], got \[4\]/);
    await expect(resume({ weight: [1, 4] })).rejects.toThrow(/bias must be absent, got \[4\]/);
    expect(tf.memory().numTensors).toBe(before);
    disposeTree((await resume(shapes)).state);
  });

  it('refuses to resume where nothing was saved', async () => {
    const out = newFolder();
    await expect(train(toyTask(), toyOptions(out, { resume: true }), logOf(out))).rejects.toThrow(
      'there is no checkpoint',
    );
  });
});
