import { goldenPath, goldenTensors } from '@tb/test-utils';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, readStateDict } from './checkpoint.js';
import type { CheckpointTensor } from './pickle-values.js';

describe('the official checkpoints', () => {
  it.each([
    ['vae/vae.pth', 'vae/vae.safetensors', 'model'],
    ['tokenbridge/checkpoint-last.pth', 'tokenbridge/model.safetensors', 'model'],
  ])('%s', async (checkpoint, twin, key) => {
    const tensors = await readStateDict(goldenPath(checkpoint), key);
    expect(tensors).toEqual(await goldenTensors(twin));
  });

  it('has the parts that training resumes from', async () => {
    const checkpoint = await openCheckpoint(goldenPath('tokenbridge/checkpoint-last.pth'));
    expect(Object.keys(checkpoint.value as object)).toEqual(['model', 'optimizer', 'epoch', 'model_ema', 'scaler']);
    const { model, model_ema: ema } = checkpoint.value as Record<string, Record<string, CheckpointTensor>>;
    for (const [name, { dtype, shape }] of Object.entries(ema!)) expect(model![name]).toMatchObject({ dtype, shape });
    await checkpoint.close();
  });
});
