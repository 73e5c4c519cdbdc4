import { imageGrid, type Pixels, zoomTo } from '@tb/images';
import { hostRandom, jit, type Tree } from '@tb/runtime';
import {
  drawTrainingMasks,
  evaluate,
  generate,
  initTokenBridge,
  type LossInputs,
  loss,
  type TokenBridge,
  type TokenBridgeConfig,
  type TrainingMasks,
} from '@tb/tokenbridge';
import { createDecoder, sampleLatent, tensorToImages, type Vae, type VaeConfig } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import type { BatchSource } from '../data/batches.js';
import { drawPictureKeys } from '../data/picture-keys.js';
import type { Parameters } from '../optimizer/adamw.js';
import type { Task } from '../task.js';
import type { LatentInput } from './latent-input.js';

// N = images, h, w, C = height, width and channels of a latent

export type ModelTaskOptions<Batch extends { labels: Int32Array }> = {
  config: TokenBridgeConfig;
  latents: LatentInput<Batch>;
  /** A latent times this has about unit variance. */
  latentScale: number;
  openBatches: (firstStep: number) => BatchSource<Batch>;
  /** Data that training does not see. */
  heldOut: readonly Batch[];
  /** Turns latents into pictures; without it no samples are drawn. */
  decoder?: { vae: Vae; config: VaeConfig };
  classNames: readonly string[];
  /** Start from these parameters rather than from noise. */
  initial?: () => Promise<TokenBridge>;
  /** See `LossOptions` of @tb/tokenbridge. */
  rematerialize?: boolean;
  /** Lists of masked positions are padded to multiples of this, see `drawMasking` of @tb/backbone. */
  maskGranularity?: number;
};

type StepTensors = Record<string, tf.Tensor> & {
  labels: tf.Tensor1D;
  masks: TrainingMasks;
  /** For the noise of the posterior samples, one key for each picture. */
  keys: tf.Tensor2D;
};

/** Trains the TokenBridge model on latents, as the reference does: posterior samples, masks, dropout. */
export function createModelTask<Batch extends { labels: Int32Array }>(options: ModelTaskOptions<Batch>): Task<Batch> {
  const { config, latents, latentScale, openBatches, heldOut, decoder, initial, rematerialize, maskGranularity } =
    options;
  const inputsOf = (frozen: Tree<tf.Tensor>, batch: StepTensors): LossInputs => ({
    latents: tf.mul(sampleLatent(latents.posterior(frozen, batch), batch.keys), latentScale),
    labels: batch.labels,
    masks: batch.masks,
  });
  const toTensors: Task<Batch>['toTensors'] = (batch, random) => ({
    ...latents.toTensors(batch),
    labels: tf.tensor1d(batch.labels, 'int32'),
    masks: drawTrainingMasks(random, config, batch.labels.length, maskGranularity) as unknown as Tree<tf.Tensor>,
    keys: drawPictureKeys(random, batch.labels.length),
  });
  const evaluateBatch = jit((params: TokenBridge, frozen: Tree<tf.Tensor>, batch: StepTensors) => {
    const { loss: value, accuracy } = evaluate(params, config, inputsOf(frozen, batch));
    return { loss: value, accuracy };
  });
  return {
    init: (key) => (initial ? initial() : initTokenBridge(key, config)) as Parameters,
    frozen: latents.frozen,
    loss: (params, frozen, batch, dropoutKey) => {
      const inputs = inputsOf(frozen, batch as unknown as StepTensors);
      return { loss: loss(params as unknown as TokenBridge, config, inputs, { dropoutKey, rematerialize }) };
    },
    openBatches,
    toTensors,
    validate:
      heldOut.length === 0
        ? undefined
        : (ema) => validate(ema as unknown as TokenBridge, heldOut, latents.frozen, toTensors, evaluateBatch),
    draw: decoder && drawerOf(options, decoder),
  };
}

/** Loss in nats and accuracy per token, with the same masks and noise every time. */
async function validate<Batch>(
  params: TokenBridge,
  batches: readonly Batch[],
  frozen: Tree<tf.Tensor>,
  toTensors: Task<Batch>['toTensors'],
  evaluateBatch: (...inputs: [TokenBridge, Tree<tf.Tensor>, StepTensors]) => {
    loss: tf.Scalar;
    accuracy: tf.Scalar;
  },
): Promise<Record<string, number>> {
  const sums = { loss: 0, accuracy: 0 };
  for (const [index, batch] of batches.entries()) {
    const tensors = toTensors(batch, hostRandom(0, index)) as unknown as StepTensors;
    const result = evaluateBatch(params, frozen, tensors);
    sums.loss += (await result.loss.data())[0];
    sums.accuracy += (await result.accuracy.data())[0];
    tf.dispose([tensors, result] as unknown as tf.TensorContainer);
  }
  return { loss: sums.loss / batches.length, accuracy: sums.accuracy / batches.length };
}

const mostClasses = 10;
const shownWidth = 96;

/** Draws one picture of each of the first classes. */
function drawerOf<Batch extends { labels: Int32Array }>(
  { config, latentScale, classNames }: ModelTaskOptions<Batch>,
  { vae, config: vaeConfig }: { vae: Vae; config: VaeConfig },
): (ema: Parameters) => Promise<Pixels> {
  const decodeLatents = createDecoder(vaeConfig);
  const labels = Array.from({ length: Math.min(mostClasses, config.classes) }, (_, label) => label);
  return async (ema) => {
    const params = ema as unknown as TokenBridge;
    const seeds = labels.map((label) => label + 1);
    const result = await generate({ params, config, labels, seeds, numIter: 16, cfg: 3 });
    const latents = tf.div(result.latents, latentScale) as tf.Tensor4D;
    const images = decodeLatents(vae, latents);
    const pictures = await tensorToImages(images);
    tf.dispose([result.tokens, result.latents, latents, images]);
    const captions = labels.map((label) => classNames[label] ?? String(label));
    return imageGrid(pictures, { columns: 5, captions, zoom: zoomTo(pictures[0], shownWidth) });
  };
}
