// Whatever the file system refuses while a checkpoint is saved, one of the same step stays, and the message is true.
import { mkdtempSync, readdirSync } from 'node:fs';
import * as files from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { initTrainState } from '../train-step.js';
import { saveCheckpoint } from './checkpoint-writer.js';
import { loadNewestState } from './training-state.js';

/** Decides whether the file system refuses an operation; set by each test. */
const { refusal } = vi.hoisted(() => ({ refusal: { of: (_: string): boolean => false } }));

vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof files>();
  const refusing = (name: 'mkdir' | 'open' | 'readdir' | 'rename' | 'rm') => [
    name,
    async (...args: never[]) => {
      if (refusal.of(name)) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO', path: args[0] });
      return (original[name] as (...args: never[]) => unknown)(...args);
    },
  ];
  return { ...original, ...Object.fromEntries((['mkdir', 'open', 'readdir', 'rename', 'rm'] as const).map(refusing)) };
});

beforeAll(() => useBackend('cpu'));

/** Saves a checkpoint whose parameter is `mark`. */
async function save(run: string, step: number, mark: number) {
  const state = initTrainState({ weight: tf.scalar(mark) });
  try {
    const progress = { step, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {} };
    return await saveCheckpoint(run, state, progress, { keep: 1 });
  } finally {
    disposeTree(state);
  }
}

async function newest(run: string) {
  const loaded = await loadNewestState(run);
  if (!loaded) return undefined;
  const { weight } = loaded.state.params as unknown as { weight: tf.Tensor };
  const [mark] = weight.dataSync();
  disposeTree(loaded.state);
  return { step: loaded.progress.step, mark };
}

const newRun = () => join(mkdtempSync(join(tmpdir(), 'tb-save-')), 'run');
const entriesOf = (run: string) => readdirSync(join(run, 'checkpoints')).sort();

/** Saves step 2 over step 2 while the file system refuses, and checks what is there then. */
async function saveOver(of: (name: string) => boolean): Promise<'saved' | 'refused'> {
  const run = newRun();
  await save(run, 2, 1);
  refusal.of = of;
  const outcome = await save(run, 2, 5).then(
    (saved) => ({ saved }),
    (error: Error) => ({ error }),
  );
  refusal.of = () => false;
  const found = await newest(run);
  if ('saved' in outcome) {
    expect(found).toEqual({ step: 2, mark: 5 });
    const left = entriesOf(run).filter((name) => name !== 'step-00000002');
    const report = outcome.saved.leftovers.join();
    for (const name of left) expect(report).toMatch(new RegExp(`${name} cannot be removed|checkpoints cannot be read`));
  } else {
    const { message } = outcome.error;
    expect(message).toMatch(/^checkpoint .*step-00000002 cannot be written: the disk reports an error; /);
    expect(found).toEqual({ step: 2, mark: 1 });
    const left = entriesOf(run).filter((name) => name !== 'step-00000002');
    if (left.length === 0) expect(message).toMatch(/nothing was left behind, and earlier checkpoints are untouched$/);
    for (const name of left) expect(message).toContain(join(run, 'checkpoints', name));
  }
  await save(run, 3, 7);
  expect(entriesOf(run)).toEqual(['step-00000003']);
  return 'saved' in outcome ? 'saved' : 'refused';
}

describe('saving over the checkpoint of the same step', () => {
  it.each([
    ['one operation', (call: number, refused: number) => call === refused],
    ['one operation and all after it', (call: number, refused: number) => call >= refused],
    [
      'every second operation from one on',
      (call: number, refused: number) => call >= refused && (call - refused) % 2 === 0,
    ],
  ])('keeps one of the two when the file system refuses %s', async (_, isRefused) => {
    const outcomes = new Set<string>();
    for (let refused = 1; ; refused++) {
      let calls = 0;
      outcomes.add(await saveOver(() => isRefused(++calls, refused)));
      if (calls < refused) break; // nothing was refused
    }
    expect(outcomes).toEqual(new Set(['saved', 'refused']));
  });

  it('keeps one of the two when only renaming and removing is refused', async () => {
    for (let refused = 1; refused <= 12; refused++) {
      let calls = 0;
      await saveOver((name) => (name === 'rename' || name === 'rm') && ++calls >= refused);
    }
  });

  it('takes a checkpoint that a crash left set aside, and gives it its name back', async () => {
    const run = newRun();
    const { folder } = await save(run, 2, 1);
    await files.rename(folder, join(run, 'checkpoints', '.step-00000002.0123abcd.tmp.old'));
    expect(await newest(run)).toEqual({ step: 2, mark: 1 });
    const state = initTrainState({ weight: tf.scalar(3) });
    const progress = { step: 3, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: {} };
    await saveCheckpoint(run, state, progress, { keep: 2 });
    disposeTree(state);
    expect(entriesOf(run)).toEqual(['step-00000002', 'step-00000003']);
  });

  it('prefers the new one where a crash left both, unless it is damaged', async () => {
    const run = newRun();
    const { folder } = await save(run, 2, 1);
    const aside = join(run, 'checkpoints', '.step-00000002.0123abcd.tmp.old');
    await files.cp(folder, aside, { recursive: true });
    expect(await loadedFolder(run)).toBe(folder);
    await files.rm(join(folder, 'ema.safetensors'));
    expect(await loadedFolder(run)).toBe(aside);
  });
});

async function loadedFolder(run: string): Promise<string | undefined> {
  const loaded = await loadNewestState(run);
  if (loaded) disposeTree(loaded.state);
  return loaded?.folder;
}
