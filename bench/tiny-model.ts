/** Training and sampling of the tiny preset, as the measurements of backends need them. */
import { disposeTree, hostRandom, randomKey } from '@tb/runtime';
import {
  drawTrainingMasks,
  generate,
  initTokenBridge,
  type LossInputs,
  loss,
  presets,
  type TokenBridge,
  type TokenBridgeConfig,
} from '@tb/tokenbridge';
import { createTrainStep, defaultAdamW, initTrainState } from '@tb/trainer';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Forward, backward, clipping, AdamW and averaging.
 *
 * @param newMasks - for every step, as in training: then the shapes change too; else all steps have one
 */
export function startTraining(
  images: number,
  { config = presets.tiny, newMasks = false }: { config?: TokenBridgeConfig; newMasks?: boolean } = {},
) {
  const trainStep = createTrainStep(
    (params: TokenBridge, _, batch: LossInputs, dropoutKey) => ({ loss: loss(params, config, batch, { dropoutKey }) }),
    { adamw: defaultAdamW, clipNorm: 3, emaRate: 0.9999 },
  );
  let states = [initTrainState(initTokenBridge(randomKey(0), config))];
  const { height, width, channels } = config.latent;
  const latents: tf.Tensor4D = tf.randomNormal([images, height, width, channels]);
  const labels: tf.Tensor1D = tf.zeros([images], 'int32');
  const random = hostRandom(0);
  const drawMasks = () => drawTrainingMasks(random, config, images);
  let masks = drawMasks();
  const runKey = randomKey(1);
  let count = 0;
  return {
    /** One step to its end; gives its loss. */
    async step(): Promise<number> {
      const inputs = { learningRate: tf.scalar(1e-4), step: tf.scalar(count++, 'int32'), runKey };
      const result = trainStep(states, [{}], { latents, labels, masks }, inputs);
      states = result.states;
      const [value] = await result.metrics.loss.data();
      disposeTree([inputs.learningRate, inputs.step, ...Object.values(result.metrics)]);
      if (newMasks) {
        disposeTree(masks);
        masks = drawMasks();
      }
      return value;
    },
    end() {
      disposeTree([states, latents, labels, masks, runKey]);
    },
  };
}

/** A function that samples so many images at once, without the decoder. */
export function startSampling(images: number, steps: number, config: TokenBridgeConfig = presets.tiny) {
  const params = initTokenBridge(randomKey(0), config);
  const seeds = Array.from({ length: images }, (_, index) => index);
  const labels = seeds.map((seed) => seed % config.classes);
  return {
    async sample() {
      const { tokens, latents } = await generate({ params, config, labels, seeds, steps, guidanceScale: 2 });
      disposeTree([tokens, latents]);
    },
    end: () => disposeTree(params),
  };
}
