import { assertShape, crossEntropy } from '@tb/nn';
import {
  defineOperation,
  flattenTree,
  foldIn,
  gumbel,
  type Key,
  type OperationInputs,
  unflattenTree,
} from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { ChannelHead } from './channel-head.js';
import { type ChannelHeadConfig, classCount, groupCount } from './config.js';
import {
  type Condition,
  classify,
  conditionOn,
  type FirstPosition,
  forward,
  groupInputs,
  startHoistedWalk,
  startWalk,
  type Walk,
} from './forward.js';
import { classesToTokens } from './groups.js';

// N = images, P = positions, R = N·P rows, C = channels, G = groups, K = classes, Z = feature width

/** How a class is drawn from logits: the likeliest, or one of softmax(logits / temperature). */
export type Draw =
  | 'greedy'
  | {
      /** Positive; a scalar tensor inside a compiled function, so that another temperature needs no other program. */
      temperature: number | tf.Scalar;
      /** One key per image [N, 2]: the draws of an image depend on its own key alone. */
      keys: Key;
    };

export type SampleOptions = {
  /** Default `greedy`. */
  draw?: Draw;
  /** Default `sampling`, as the released code samples. */
  firstPosition?: FirstPosition;
};

export type ChannelSample = {
  /** In the head's order of channels, int32 [N, P, C]. */
  tokens: tf.Tensor3D;
  /** ln p(tokens | features) in nats, at temperature 1 however they were drawn; float32 [N, P]. */
  logProbability: tf.Tensor2D;
  /** Logits of each drawn class [N, P, G, K]. */
  logits: tf.Tensor4D;
};

/**
 * Draws the tokens of positions, group after group (Eq. 6), with a key-value cache; a parallel head draws all at once.
 *
 * @param features - context features [N, P, Z]
 * @throws Error if a shape does not fit the configuration
 */
export function sampleChannels(
  params: ChannelHead,
  config: ChannelHeadConfig,
  features: tf.Tensor3D,
  { draw = 'greedy', firstPosition = 'sampling' }: SampleOptions = {},
): ChannelSample {
  const [images, positions] = features.shape;
  assertShape('sampleChannels', 'features', features, [images, positions, config.featureWidth]);
  const groups = groupCount(config);
  return tf.tidy(() => {
    const rows = tf.reshape(features, [images * positions, config.featureWidth]) as tf.Tensor2D;
    const condition = conditionOn(params, config, rows, firstPosition);
    const inputs: SymbolInputs = {
      params,
      condition,
      modulations: startHoistedWalk(params, condition).modulations!,
      ...(draw !== 'greedy' && {
        noise: groupNoise(draw.keys, groups, [images, positions, classCount(config)]),
        temperature: typeof draw.temperature === 'number' ? tf.scalar(draw.temperature) : draw.temperature,
      }),
    };
    const [logits, classes] = sampleSymbols({ ...flattenTree<tf.Tensor>(inputs as never) }, config);
    return assemble(config, logits as tf.Tensor3D, classes as tf.Tensor2D, [images, positions]);
  });
}

/** All that the draws of a position depend on; what `SampleSymbols` gets, flattened. */
type SymbolInputs = {
  params: ChannelHead;
  condition: Condition;
  /** Of every block [R, G, 6D]. */
  modulations: tf.Tensor3D[];
  /** Gumbel noise [G, R, K] and the temperature; none where the likeliest class is taken. */
  noise?: tf.Tensor3D;
  temperature?: tf.Scalar;
};

/**
 * Draws the classes of all groups, one after another: logits [R, G, K] and classes int32 [R, G]. On H100 and H200 GPUs, for
 * large heads and few rows, @tb/xla runs it as one kernel.
 */
const sampleSymbols = defineOperation(
  'SampleSymbols',
  (flat: OperationInputs, config: ChannelHeadConfig): tf.Tensor[] => {
    const { params, condition, modulations, noise, temperature } = unflattenTree<tf.Tensor>(
      flat,
    ) as unknown as SymbolInputs;
    const groups = groupCount(config);
    const noises = noise ? tf.unstack(noise) : [];
    const logits: tf.Tensor3D[] = []; // per call [R, T, K]
    const classes: tf.Tensor2D[] = []; // per call [R, T]
    let walk: Walk = { ...startWalk(params), modulations };
    while (walk.group < groups) {
      const { group } = walk;
      const count = config.kind === 'parallel' ? groups : 1;
      const inputs = groupInputs(params, config, condition, [group, count], classes.at(-1) ?? null);
      const step = forward(params, config, condition, inputs, walk);
      const callLogits = classify(params, group, step.features);
      logits.push(callLogits);
      classes.push(drawClasses(callLogits, temperature, noises.slice(group, group + count)));
      walk = step.walk;
    }
    return [tf.concat(logits, 1), tf.concat(classes, 1)];
  },
);

function assemble(
  config: ChannelHeadConfig,
  logits: tf.Tensor3D, // [R, G, K]
  drawn: tf.Tensor2D, // [R, G]
  [images, positions]: [number, number],
): ChannelSample {
  const tokens = classesToTokens(drawn, config.levels, config.groupSize); // [R, G, g]
  const surprise = tf.sum(crossEntropy(logits, drawn), 1);
  return {
    tokens: tf.reshape(tokens, [images, positions, config.channels]),
    logProbability: tf.reshape(tf.neg(surprise), [images, positions]),
    logits: tf.reshape(logits, [images, positions, groupCount(config), classCount(config)]),
  };
}

/** Gumbel noise of every group [R, K], drawn at once: the cipher behind it is compiled and run a single time. */
function groupNoise(keys: Key, groups: number, [images, positions, classes]: [number, number, number]): tf.Tensor3D {
  const groupKeys = tf.reshape(foldIn(keys, tf.range(0, groups, 1, 'int32')), [groups * images, 2]);
  const noise = gumbel(groupKeys, [groups * images, positions, classes]);
  return tf.reshape(noise, [groups, images * positions, classes]);
}

/** Adding Gumbel noise [R, K] of each group and taking the largest draws from the softmax: [R, T, K] to [R, T]. */
function drawClasses(logits: tf.Tensor3D, temperature: tf.Scalar | undefined, noise: tf.Tensor[]): tf.Tensor2D {
  if (!temperature) return tf.argMax(logits, 2);
  return tf.argMax(tf.add(tf.div(logits, temperature), tf.stack(noise, 1)), 2);
}
