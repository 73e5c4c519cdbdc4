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
import {
  allModulations,
  type ChannelHead,
  type Condition,
  classifyGroups,
  conditionOn,
  decodeGroups,
  type FirstPosition,
  type ForwardOptions,
  groupInputs,
  startDecoding,
} from './channel-head.js';
import { type ChannelHeadConfig, groupCount, symbolCount } from './config.js';

// N = images, M = predicted positions, R = rows (the positions of all images), C = channels, G = groups of channels,
// K = symbols of a group, Z = width of the backbone's features
//
// The head's two uses: logits of given tokens in training, and tokens drawn group after group in sampling (Eq. 6). Callers
// have tokens in the latents' order of channels. The head's own order and its groups are known in this file alone.

/** Options of `channelLogits`. */
export type LogitsOptions = ForwardOptions & {
  /** Default `training`, as the released code trains. */
  firstPosition?: FirstPosition;
};

/**
 * Computes the logits of every group given the true tokens of the groups before it (Eq. 6, teacher forcing).
 *
 * @param features - context features [R, Z]
 * @param tokens - in the latents' order of channels, int32 [R, C], each in [0, levels)
 * @returns float32 [R, G, K], the groups in the head's order
 * @throws Error if a shape does not fit the configuration
 */
export function channelLogits(
  params: ChannelHead,
  config: ChannelHeadConfig,
  features: tf.Tensor2D,
  tokens: tf.Tensor2D,
  options: LogitsOptions = {},
): tf.Tensor3D {
  assertShape('channelLogits', 'tokens', tokens, [features.shape[0], config.channels]);
  return tf.tidy(() => {
    const condition = conditionOn(params, config, features, options.firstPosition ?? 'training', options);
    const symbols = tokensToSymbols(config, tokens) as tf.Tensor2D; // [R, G]
    const groups = groupCount(config);
    const previous = groups > 1 ? tf.slice(symbols, [0, 0], [-1, groups - 1]) : null;
    const inputs = groupInputs(params, config, condition, [0, groups], previous);
    const decoded = decodeGroups(params, config, condition, inputs, startDecoding(params), options);
    return classifyGroups(params, 0, decoded.features);
  });
}

/** How a symbol is drawn from logits: the likeliest, or one of softmax(logits / temperature). */
export type Draw =
  | 'greedy'
  | {
      /** Positive. Inside a compiled function a scalar tensor, so that one program serves all temperatures. */
      temperature: number | tf.Scalar;
      /** One key per image [N, 2]: the draws of an image depend on its own key alone. */
      keys: Key;
    };

/** Options of `sampleChannels`. */
export type SampleOptions = {
  /** Default `greedy`. */
  draw?: Draw;
  /** Default `sampling`, as the released code samples. */
  firstPosition?: FirstPosition;
};

/** What `sampleChannels` drew. */
export type ChannelSample = {
  /** In the latents' order of channels, int32 [N, M, C]. */
  tokens: tf.Tensor3D;
  /** ln p(tokens | features) in nats, at temperature 1 however they were drawn; float32 [N, M]. */
  logProbability: tf.Tensor2D;
  /** Logits of which each symbol was drawn [N, M, G, K], the groups in the head's order. */
  logits: tf.Tensor4D;
};

/**
 * Draws the tokens of positions, group after group with a key-value cache (Eq. 6). A parallel head draws all groups at once.
 *
 * @param features - context features [N, M, Z]
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
  return tf.tidy(() => {
    const rows = tf.reshape(features, [images * positions, config.featureWidth]) as tf.Tensor2D;
    const condition = conditionOn(params, config, rows, firstPosition);
    const inputs: SymbolInputs = {
      params,
      condition,
      modulations: allModulations(params, condition),
      ...(draw !== 'greedy' && {
        noise: groupNoise(draw.keys, groupCount(config), [images, positions, symbolCount(config)]),
        temperature: typeof draw.temperature === 'number' ? tf.scalar(draw.temperature) : draw.temperature,
      }),
    };
    const [logits, symbols] = sampleSymbols({ ...flattenTree<tf.Tensor>(inputs as never) }, config);
    return assemble(config, logits as tf.Tensor3D, symbols as tf.Tensor2D, [images, positions]);
  });
}

/** Everything that the draws of a position depend on; the inputs of `SampleSymbols`, which gets them flattened. */
type SymbolInputs = {
  params: ChannelHead;
  condition: Condition;
  /** Of every block [R, G, 6D]. */
  modulations: tf.Tensor3D[];
  /** Gumbel noise [G, R, K] and the temperature; none where the likeliest symbol is taken. */
  noise?: tf.Tensor3D;
  temperature?: tf.Scalar;
};

/**
 * Draws the symbols of all groups, one group after another: logits [R, G, K] and symbols int32 [R, G]. On H100 and H200 GPUs,
 * for large heads and few rows, @tb/xla runs it as one kernel.
 */
const sampleSymbols = defineOperation(
  'SampleSymbols',
  (flat: OperationInputs, config: ChannelHeadConfig): tf.Tensor[] => {
    const inputs = unflattenTree<tf.Tensor>(flat) as unknown as SymbolInputs;
    const { params, condition, modulations, noise, temperature } = inputs;
    const groups = groupCount(config);
    const groupsPerCall = config.kind === 'parallel' ? groups : 1;
    const noises = noise ? tf.unstack(noise) : [];
    const logits: tf.Tensor3D[] = []; // of each call [R, groups per call, K]
    const symbols: tf.Tensor2D[] = []; // of each call [R, groups per call]
    let state = startDecoding(params, modulations);
    for (let first = 0; first < groups; first += groupsPerCall) {
      const embedded = groupInputs(params, config, condition, [first, groupsPerCall], symbols.at(-1) ?? null);
      const decoded = decodeGroups(params, config, condition, embedded, state);
      const callLogits = classifyGroups(params, first, decoded.features);
      logits.push(callLogits);
      symbols.push(drawSymbols(callLogits, temperature, noises.slice(first, first + groupsPerCall)));
      state = decoded.state;
    }
    return [tf.concat(logits, 1), tf.concat(symbols, 1)];
  },
);

function assemble(
  config: ChannelHeadConfig,
  logits: tf.Tensor3D, // [R, G, K]
  symbols: tf.Tensor2D, // [R, G]
  [images, positions]: [number, number],
): ChannelSample {
  return {
    tokens: tf.reshape(symbolsToTokens(config, symbols), [images, positions, config.channels]),
    logProbability: tf.reshape(tf.neg(tf.sum(crossEntropy(logits, symbols), 1)), [images, positions]),
    logits: tf.reshape(logits, [images, positions, groupCount(config), symbolCount(config)]),
  };
}

/** Gumbel noise [G, R, K], drawn at once: the cipher behind it is compiled and run a single time. */
function groupNoise(keys: Key, groups: number, [images, positions, symbols]: [number, number, number]): tf.Tensor3D {
  const groupKeys = tf.reshape(foldIn(keys, tf.range(0, groups, 1, 'int32')), [groups * images, 2]);
  const noise = gumbel(groupKeys, [groups * images, positions, symbols]);
  return tf.reshape(noise, [groups, images * positions, symbols]);
}

/** The largest of logits / temperature + Gumbel noise is a draw from the softmax: [R, groups, K] to [R, groups]. */
function drawSymbols(logits: tf.Tensor3D, temperature: tf.Scalar | undefined, noise: tf.Tensor[]): tf.Tensor2D {
  if (!temperature) return tf.argMax(logits, 2);
  return tf.argMax(tf.add(tf.div(logits, temperature), tf.stack(noise, 1)), 2);
}

type SymbolConfig = Pick<ChannelHeadConfig, 'levels' | 'groupSize' | 'channelOrder'>;

/**
 * Joins the tokens of each group of channels to a symbol: digits in base B, the group's first channel the most significant.
 *
 * @param tokens - in the latents' order of channels, int32 [..., C], each in [0, levels)
 * @returns in the head's order of groups, int32 [..., G], each in [0, K)
 */
export function tokensToSymbols({ levels, groupSize, channelOrder }: SymbolConfig, tokens: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const ordered = channelOrder ? tf.gather(tokens, [...channelOrder], tokens.rank - 1) : tf.clone(tokens);
    if (groupSize === 1) return ordered;
    const groups = tf.reshape(ordered, [...tokens.shape.slice(0, -1), -1, groupSize]);
    const base = tf.scalar(levels, 'int32');
    return tf.unstack(groups, -1).reduce((sum, digit) => tf.add(tf.mul(sum, base), digit));
  });
}

/**
 * Splits symbols into the tokens of their channels, the inverse of `tokensToSymbols`.
 *
 * @param symbols - in the head's order of groups, int32 [..., G], each in [0, K)
 * @returns in the latents' order of channels, int32 [..., C]
 */
export function symbolsToTokens({ levels, groupSize, channelOrder }: SymbolConfig, symbols: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const base = tf.scalar(levels, 'int32');
    const digits: tf.Tensor[] = [];
    let rest = symbols;
    for (let place = 1; place < groupSize; place++) {
      const quotient = tf.floorDiv(rest, base);
      digits.unshift(tf.sub(rest, tf.mul(quotient, base)));
      rest = quotient;
    }
    const ordered = tf.reshape(tf.stack([rest, ...digits], -1), [...symbols.shape.slice(0, -1), -1]);
    if (!channelOrder) return ordered;
    const placeOfChannel = channelOrder.map((_, channel) => channelOrder.indexOf(channel));
    return tf.gather(ordered, placeOfChannel, ordered.rank - 1);
  });
}
