import { maskingOfOrders } from '@tb/backbone';
import { type HostTensor, openCheckpoint, toFloat32 } from '@tb/io';
import { disposeTree, flattenTree, randomKey, type TensorTree, unflattenTree, useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenPath, goldenTensors, testBackend } from '@tb/test-utils';
import { configFromOfficial, type LossInputs, loadTokenBridge, loss, type TokenBridge } from '@tb/tokenbridge';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTrainStep, type TrainState } from './train-step.js';

const tolerance = 1e-5;

type OptimizerState = { state: Record<string, Record<'exp_avg' | 'exp_avg_sq' | 'step', HostTensor | number>> };

describe('one complete training step against the reference', () => {
  const { config: official, derived, forward_cases, checkpoint } = goldenJson('tokenbridge', 'config.json');
  const config = configFromOfficial(official, derived.channel_order);
  const { num_masked, label_dropped, loss: expectedLoss, train_step: step } = forward_cases.C;
  const path = goldenPath('tokenbridge', 'checkpoint-last.pth');
  let golden: Record<string, HostTensor>;
  let forward: Record<string, HostTensor>;

  beforeAll(async () => {
    await useBackend(testBackend);
    golden = await goldenTensors('tokenbridge', 'train_step_C.safetensors');
    forward = await goldenTensors('tokenbridge', 'forward.safetensors');
  });

  /** Weights, their average and the optimizer, as the reference saved them. */
  async function officialState(): Promise<TrainState<TokenBridge>> {
    const { params } = await loadTokenBridge(path, { config });
    const { params: ema } = await loadTokenBridge(path, { config, ema: true });
    const file = await openCheckpoint(path);
    const { state } = (await file.load('optimizer')) as unknown as OptimizerState;
    await file.close();
    const names = checkpoint.optimizer_index_to_parameter_name as string[];
    const moments = (name: 'exp_avg' | 'exp_avg_sq') =>
      unflattenTree(
        Object.fromEntries(names.map((parameter, index) => [parameter, toTensor(state[index][name] as HostTensor)])),
      ) as TokenBridge;
    return {
      params,
      ema,
      optimizer: {
        firstMoment: moments('exp_avg'),
        secondMoment: moments('exp_avg_sq'),
        step: tf.scalar(step.optimizer_step_number_of_this_update - 1),
      },
    };
  }

  function batchOfCase(): LossInputs {
    const [images, positions] = forward['C.orders'].shape;
    const orders = Array.from({ length: images }, (_, image) =>
      (forward['C.orders'].data as Int32Array).slice(image * positions, (image + 1) * positions),
    );
    return {
      latents: tf.transpose(toTensor(forward['C.latents']), [0, 2, 3, 1]) as tf.Tensor4D,
      labels: tf.tensor1d(forward['C.labels'].data as Int32Array, 'int32'),
      masks: {
        ...maskingOfOrders(orders, num_masked),
        unlabelled: tf.tensor1d((label_dropped as boolean[]).map(Number)),
      },
    };
  }

  it('gives the reference’s loss, norm, parameters, moments and average', async () => {
    const trainStep = createTrainStep(
      (params: TokenBridge, _, batch: LossInputs) => ({ loss: loss(params, config, batch) }),
      {
        adamw: { betas: step.betas, epsilon: step.eps, weightDecay: step.weight_decay },
        clipNorm: step.clip_grad,
        emaRate: step.ema_rate,
      },
    );
    const inputs = { learningRate: tf.scalar(step.lr), step: tf.scalar(3, 'int32'), runKey: randomKey(0) };
    // As `train` does on one device.
    const { states, metrics } = trainStep([await officialState()], [{}], batchOfCase(), inputs);
    const [state] = states;

    expectClose(metrics.loss.dataSync(), [expectedLoss], tolerance, 'loss');
    expectClose(metrics.gradientNorm.dataSync(), [step.total_grad_norm_before_clip], tolerance, 'norm');
    const results: Record<string, TensorTree> = {
      param_after: state.params,
      ema_after: state.ema,
      exp_avg_after: state.optimizer.firstMoment,
      exp_avg_sq_after: state.optimizer.secondMoment,
    };
    for (const [kind, tree] of Object.entries(results)) {
      const flat = flattenTree(tree);
      for (const name of step.parameters as string[]) {
        expectClose(flat[name].dataSync(), toFloat32(golden[`${kind}.${name}`]), tolerance, `${kind} ${name}`);
      }
    }
    expect(state.optimizer.step.dataSync()[0]).toBe(step.optimizer_step_number_of_this_update);
    disposeTree(state);
  });
});

function toTensor(tensor: HostTensor): tf.Tensor {
  return tf.tensor(toFloat32(tensor), tensor.shape, 'float32');
}
