import { maskingOfOrders } from '@tb/backbone';
import type { HostTensor } from '@tb/io';
import { flattenTree, randomKey, unflattenTree, useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenPath, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { rowOf, tensorOf } from '../test/golden-model.js';
import { loadImageModel } from './files.js';
import { marTerms } from './mar-loss.js';
import type { LossInputs } from './masked-context.js';
import { type ImageModel, type Mar, type MarConfig, modelOf } from './model.js';
import { configFromMar, type MarArguments } from './official-mar.js';
import { sampleTokens } from './reference-sampler.js';

// A small MAR from the checkpoint that its code wrote: features, loss, gradients and complete sampling.

const description = goldenJson('mar', 'config.json');
const constructorArguments: MarArguments & { num_sampling_steps: string } = description.model;
const config = configFromMar(constructorArguments);
let params: Mar;

async function load(ema: boolean): Promise<Mar> {
  const loaded = await loadImageModel(goldenPath('mar', 'checkpoint-last.pth'), { ema, config });
  const model = modelOf(loaded.params, loaded.config);
  if (!model.isMar) throw new Error('the golden model must have a diffusion head');
  return model.params;
}

beforeAll(async () => {
  await useBackend(testBackend);
  params = await load(false);
});

const floats = (tensor: HostTensor) => tensor.data as Float32Array;
const integers = (tensor: HostTensor) => tensor.data as Int32Array;

describe('the checkpoint', () => {
  it('has the parameters of the configuration, in both sets of weights', async () => {
    const leaves = flattenTree<tf.Tensor>(params as never);
    const size = Object.values(leaves).reduce((sum, leaf) => sum + leaf.size, 0);
    expect(size).toBe(description.parameters);
    expect(Object.keys(flattenTree((await load(true)) as never))).toEqual(Object.keys(leaves));
  });
});

/** The inputs of the golden forward pass, and its timesteps and noise in the order in which the loss has its rows. */
function forwardInputs(golden: Record<string, HostTensor>) {
  const [images, positions] = golden.order.shape;
  const [copies, channels] = [constructorArguments.diffusion_batch_mul ?? 4, config.latent.channels];
  const orders = Array.from({ length: images }, (_, image) => rowOf(integers(golden.order), image, positions));
  const masking = maskingOfOrders(orders, description.masked, 1);
  const masks = { ...masking, unlabelled: tf.zeros([images]) as tf.Tensor1D };
  const masked = masking.masked.arraySync();
  const isMasked = new Float32Array(images * positions);
  const rows = masked.flatMap((list, image) =>
    list.flatMap((position) => {
      isMasked[image * positions + position] = 1;
      return Array.from({ length: copies }, (_, copy) => (copy * images + image) * positions + position);
    }),
  );
  expect([...isMasked]).toEqual([...floats(golden.mask)]);
  const inputs: LossInputs = {
    latents: tf.transpose(tensorOf<tf.Tensor4D>(golden.latents), [0, 2, 3, 1]),
    labels: tensorOf<tf.Tensor1D>(golden.labels),
    masks,
  };
  const timesteps = tf.tensor1d(
    rows.map((row) => integers(golden.t)[row]),
    'int32',
  );
  const noise = rows.flatMap((row) => [...rowOf(floats(golden.noise), row, channels)]);
  return { inputs, noise: { timesteps, noise: tf.tensor2d(noise, [rows.length, channels]) } };
}

describe('training', () => {
  it('has the reference’s features, loss and gradients', async () => {
    const golden = await goldenTensors('mar', 'forward.safetensors');
    const { inputs, noise } = forwardInputs(golden);
    const leaves = flattenTree<tf.Tensor>(params as never);
    const names = Object.keys(leaves);
    let features: Float32Array | undefined;
    const observe = (name: string, activation: tf.Tensor) => {
      if (name === 'z') features = activation.dataSync<'float32'>().slice();
    };
    const lossOf = (...tensors: tf.Tensor[]) => {
      const flat = Object.fromEntries(names.map((name, index) => [name, tensors[index]]));
      const tree = unflattenTree<tf.Tensor>(flat) as unknown as Mar;
      return marTerms({ params: tree, config }, inputs, noise, { observe }).loss;
    };
    const { value, grads } = tf.valueAndGrads(lossOf)(Object.values(leaves));
    expectClose(features!, floats(golden.z), 1e-4, 'z');
    expectClose(value.dataSync(), floats(golden.loss), 1e-4, 'loss');
    const compared = Object.keys(golden).filter((name) => name.startsWith('gradient.'));
    expect(compared.length).toBeGreaterThan(0);
    for (const name of compared) {
      const gradient = grads[names.indexOf(name.replace('gradient.', ''))];
      expectClose(gradient.dataSync(), floats(golden[name]), 1e-3, name);
    }
  });
});

type Run = { run: number; num_iter: number; cfg: number; cfg_schedule: string; temperature: number; labels: number[] };

/** The golden noise of a sampling step, whose rows follow the positions of each image in ascending order. */
function goldenNoise(golden: Record<string, HostTensor>, { run, cfg }: Run) {
  const { channels } = config.latent;
  return (step: number, next: readonly number[][]) => {
    const noise = golden[`${run}.step${step}.noise`];
    const [steps, rows] = noise.shape;
    const used = cfg === 1 ? rows : rows / 2; // with guidance the second half is not used
    const perImage = used / next.length;
    const order = next.flatMap((list, image) => {
      const ascending = [...list].sort((a, b) => a - b);
      return list.map((position) => image * perImage + ascending.indexOf(position));
    });
    const pick = (values: Float32Array, first: number) =>
      tf.tensor2d(
        order.flatMap((row) => [...rowOf(values, first + row, channels)]),
        [used, channels],
      );
    return {
      start: pick(floats(golden[`${run}.step${step}.start`]), 0),
      step: (remaining: tf.Scalar) => pick(floats(noise), (steps - 1 - remaining.dataSync()[0]) * rows),
    };
  };
}

describe.each<Run>(description.model_runs)('sampling run $run', (run) => {
  it('has the reference’s latents', async () => {
    const golden = await goldenTensors('mar', 'model-sampling.safetensors');
    const [images, positions] = golden[`${run.run}.orders`].shape;
    const grids = sampleTokens({
      params: params as ImageModel,
      config: config as MarConfig,
      labels: run.labels,
      noiseKeys: tf.stack(run.labels.map((_, image) => randomKey(image))),
      order: Array.from({ length: images }, (_, i) => rowOf(integers(golden[`${run.run}.orders`]), i, positions)),
      steps: run.num_iter,
      guidanceScale: run.cfg,
      guidanceSchedule: run.cfg_schedule === 'linear' ? 'linear' : 'constant',
      temperature: run.temperature,
      firstPosition: 'sampling',
      denoisingSteps: Number(constructorArguments.num_sampling_steps),
      noiseOfStep: goldenNoise(golden, run),
    });
    const latents = tf.transpose(tf.tensor3d(grids as number[][][]), [0, 2, 1]); // [N, C, S]
    expectClose(latents.dataSync(), floats(golden[`${run.run}.latents`]), 1e-4, 'latents');
  });
});
