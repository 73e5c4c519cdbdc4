import { toFloat32 } from '@tb/io';
import { disposeTree, flattenTree, jit, type TensorTree, unflattenTree, useBackend } from '@tb/runtime';
import { expectClose, type GoldenTensor, goldenJson, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { updateEma } from '../train-step.js';
import { type AdamWState, applyAdamW, initAdamW, isDecayed } from './adamw.js';
import { clipByGlobalNorm } from './clip.js';
import { learningRateAt } from './schedule.js';

const tolerance = 1e-5;

type Expected = {
  lr: number;
  betas: [number, number];
  eps: number;
  weight_decay: number;
  clip_grad_max_norm: number;
  ema_rate: number;
  parameters_in_model_order: string[];
  steps: { step: number; total_norm_before_clip: number }[];
};

describe('optimizer against the reference', () => {
  const expected = goldenJson('optim', 'adamw.json') as Expected;
  let golden: Record<string, GoldenTensor>;
  const treeOf = (prefix: string): TensorTree =>
    unflattenTree(
      Object.fromEntries(
        expected.parameters_in_model_order.map((name) => {
          const { shape } = golden[prefix + name];
          return [name, tf.tensor(toFloat32(golden[prefix + name]), shape, 'float32')];
        }),
      ),
    );
  const expectTree = (tree: TensorTree, prefix: string) => {
    for (const [name, tensor] of Object.entries(flattenTree(tree)))
      expectClose(tensor.dataSync(), toFloat32(golden[prefix + name]), tolerance, prefix + name);
  };

  beforeAll(async () => {
    await useBackend(testBackend);
    golden = await goldenTensors('optim', 'adamw.safetensors');
  });

  it('clips, updates and averages as torch does', () => {
    const options = { betas: expected.betas, epsilon: expected.eps, weightDecay: expected.weight_decay };
    const update = jit((params: TensorTree, ema: TensorTree, state: AdamWState, raw: TensorTree, rate: tf.Scalar) => {
      const { gradients, norm } = clipByGlobalNorm(raw, expected.clip_grad_max_norm);
      const next = applyAdamW(params, gradients, state, rate, options);
      return { ...next, gradients, norm, ema: updateEma(ema, next.params, expected.ema_rate) };
    });
    const before = tf.memory().numTensors;
    let [params, ema] = [treeOf('init.'), treeOf('init.')];
    let state = initAdamW(params);
    const learningRate = tf.scalar(expected.lr);
    for (const { step, total_norm_before_clip } of expected.steps) {
      const raw = treeOf(`step${step}.grad.`);
      const next = update(params, ema, state, raw, learningRate);
      expectClose(next.norm.dataSync(), [total_norm_before_clip], tolerance, 'norm');
      expectTree(next.gradients, `step${step}.clipped_grad.`);
      expectTree(next.params, `step${step}.param.`);
      expectTree(next.ema, `step${step}.ema.`);
      expectTree(next.state.firstMoment, `step${step}.exp_avg.`);
      expectTree(next.state.secondMoment, `step${step}.exp_avg_sq.`);
      disposeTree([params, ema, raw, next.gradients, next.norm, state]);
      ({ params, ema, state } = next);
    }
    disposeTree([params, ema, state, learningRate]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('decays what the reference decays', () => {
    const split = goldenJson('optim', 'weight_decay_split.json') as { decay: string[]; no_decay: string[] };
    const shapes = goldenJson('tokenbridge', 'config.json').state_dict_names_and_shapes as Record<string, number[]>;
    expect(split.decay.length).toBeGreaterThan(0);
    for (const name of split.decay) expect(isDecayed({ shape: shapes[name] }), name).toBe(true);
    for (const name of split.no_decay) expect(isDecayed({ shape: shapes[name] }), name).toBe(false);
  });

  it('follows the reference schedule', () => {
    const schedule = goldenJson('optim', 'lr_schedule.json');
    for (const { lr_schedule, epoch, lr } of schedule.table) {
      const rate = learningRateAt(
        {
          kind: lr_schedule,
          peak: schedule.lr,
          minimum: schedule.min_lr,
          warmup: schedule.warmup_epochs,
          total: schedule.epochs,
        },
        epoch,
      );
      expect(Math.abs(rate - lr), `${lr_schedule} ${epoch}`).toBeLessThanOrEqual(1e-12);
    }
  });
});
