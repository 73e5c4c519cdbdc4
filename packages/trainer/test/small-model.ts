import { hostRandom } from '@tb/runtime';
import type { TokenBridge, TokenBridgeConfig } from '@tb/tokenbridge';
import type { LatentBatch } from '../src/data/latent-batches.js';
import { cachedMoments, createModelTask } from '../src/tasks/model-task.js';
import type { Task } from '../src/train.js';

const network = { width: 16, depth: 1, heads: 2 };

/** TokenBridge as small as it gets: 4 × 4 positions, 4 channels, 8 levels, 3 classes. */
function smallConfig(dropout: number): TokenBridgeConfig {
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

/** The task of training it on a latent cache, with posterior noise, masks and hidden labels. */
export function smallModelTask({ dropout = 0 } = {}): Task<TokenBridge, LatentBatch> {
  return createModelTask({
    config: smallConfig(dropout),
    latents: cachedMoments([4, 4, 4]),
    latentScale: 1,
    openBatches: () => {
      throw new Error('the test makes its own batches');
    },
    heldOut: [],
    classNames: ['a', 'b', 'c'],
    maskGranularity: 16, // one shape: each costs the compiler seconds
  });
}

/** Means around 0 and deviations around e^-½. */
export function smallBatch(step: number, images: number): LatentBatch {
  const random = hostRandom(11, step);
  const moments = Float32Array.from({ length: images * 4 * 4 * 8 }, (_, i) => random.normal() - (i % 8 < 4 ? 0 : 1));
  return { moments, labels: Int32Array.from({ length: images }, (_, i) => (step + i) % 3), indices: [] };
}
