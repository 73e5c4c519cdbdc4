import { hostRandom, randomKey } from '@tb/runtime';
import type { ImageModel, TokenBridgeConfig } from '@tb/tokenbridge';
import { demo, initVae, type VaeConfig } from '@tb/vae';
import type { LatentBatch } from '../src/data/latent-batches.js';
import type { Task } from '../src/task.js';
import { cachedMoments, createModelTask, type ModelTaskOptions } from '../src/tasks/model-task.js';

const network = { width: 16, depth: 1, heads: 2 };

/** TokenBridge as small as it gets: 4 × 4 positions, 4 channels, 8 levels, 3 classes. */
export function smallSizes(dropout: number): TokenBridgeConfig {
  return {
    latent: { height: 4, width: 4, channels: 4 },
    classes: 3,
    quantizer: { levels: 8, min: -3, max: 3, range: 3 },
    channelOrder: [2, 0, 1, 3],
    backbone: { bufferSize: 2, mlpRatio: 2, encoder: network, decoder: network },
    head: { kind: 'autoregressive', groupSize: 1, mlpRatio: 2, ...network },
    training: { attentionDropout: dropout, projectionDropout: dropout, labelDropout: 0.25, minimumMaskRatio: 0.5 },
  };
}

/**
 * The task of training it on a latent cache, with posterior noise, masks and hidden labels.
 *
 * @param changes - of the task's options: by default it has no data, and masks of one shape, since each costs the compiler seconds
 */
export function smallModelTask(
  { dropout = 0 } = {},
  changes: Partial<ModelTaskOptions<LatentBatch>> = {},
): Task<ImageModel, LatentBatch> {
  return createModelTask({
    config: smallSizes(dropout),
    latents: cachedMoments([4, 4, 4]),
    latentScale: 1,
    openBatches: () => {
      throw new Error('the test makes its own batches');
    },
    heldOut: [],
    classNames: ['a', 'b', 'c'],
    maskGranularity: 16,
    ...changes,
  });
}

/** Means around 0 and deviations around e^-½. */
export function smallBatch(step: number, images: number): LatentBatch {
  const random = hostRandom(11, step);
  const moments = Float32Array.from({ length: images * 4 * 4 * 8 }, (_, i) => random.normal() - (i % 8 < 4 ? 0 : 1));
  return { moments, labels: Int32Array.from({ length: images }, (_, i) => (step + i) % 3), indices: [] };
}

/** The rows of a batch that one process reads. */
export function rowsOfBatch({ moments, labels }: LatentBatch, rows: readonly number[]): LatentBatch {
  const length = moments.length / labels.length;
  return {
    moments: Float32Array.from(rows.flatMap((row) => [...moments.subarray(row * length, (row + 1) * length)])),
    labels: Int32Array.from(rows, (row) => labels[row]),
    indices: [...rows],
  };
}

/** An untrained autoencoder for the latents of the small model: 4 × 4 images. */
export function smallDecoder() {
  const config: VaeConfig = { ...demo, channels: 4, channelMultipliers: [1], latentChannels: 4, normGroups: 2 };
  const key = randomKey(5);
  const params = initVae(key, config);
  key.dispose();
  return { params, config };
}
