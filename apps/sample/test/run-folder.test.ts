import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { initTokenBridge } from '@tb/tokenbridge';
import { describeWeights, initTrainState, saveCheckpoint } from '@tb/trainer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from './run-command.js';
import { tinyModel } from './tiny-weights.js';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tb-sample-'));
  await useBackend('wasm');
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function writeCheckpoint(run: string, step: number): Promise<string> {
  const key = randomKey(step);
  const state = initTrainState(initTokenBridge(key, tinyModel));
  const about = { modelConfig: tinyModel, classNames: ['ant', 'bee', 'cat'], imageSize: 16, vaeSha256: 'a'.repeat(64) };
  const progress = { step, retries: 0, smoothedLoss: null, seconds: 0, seed: 0, config: { preset: 'tiny' } };
  try {
    return (await saveCheckpoint(run, state, progress, { metadata: describeWeights(about) })).folder;
  } finally {
    disposeTree(state);
    key.dispose();
  }
}

it('inspects the newest intact checkpoint of a run, and reports what is wrong with newer ones', async () => {
  const run = join(root, 'run');
  const older = await writeCheckpoint(run, 9);
  const newer = await writeCheckpoint(run, 10);
  await writeFile(join(newer, 'manifest.json'), 'null');
  for (const path of [run, older]) {
    const { stdout, code } = await runCommand('inspect', path, '--no-tensors');
    expect(code).toBe(0);
    expect(stdout).toMatch(/step +9\n/);
    expect(stdout).toMatch(/classes +3: ant, bee, cat\n/);
    expect(stdout).toMatch(/ 16 × 16 pixels\n/);
    expect(stdout).toMatch(/SHA-256 of the autoencoder +a{64}\n/);
    expect(stdout).toMatch(/"preset": "tiny"/);
    expect(/newer, but damaged +.*step-00000010.manifest\.json: it must/.test(stdout)).toBe(path === run);
  }
  const { stderr } = await runCommand('inspect', newer);
  expect(stderr).toMatch(/^tb-sample: no checkpoint is intact: .*step-00000010.manifest\.json: it must/);
});
