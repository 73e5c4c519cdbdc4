import {
  applyLayerNorm,
  applyLinear,
  assertLastAxis,
  assertShape,
  type Declaration,
  initParameters,
  type LayerNorm,
  type Linear,
  layerNormParameters,
  linearParameters,
  modulate,
  normal,
  parameter,
  type ShapesOf,
  shapesOf,
  silu,
  zeroLinearParameters,
} from '@tb/nn';
import { type Key, storeFloat32, rematerialize as withRematerialization } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertDiffusionHeadConfig, type DiffusionHeadConfig } from './config.js';

// R = rows (noisy values, each of one position), C = channels, Z = width of the backbone's features, D = width of the network
//
// The denoising network: parameters, embedding of the timestep, residual blocks. It predicts the noise in a noisy value,
// and where its variance lies between the least and the largest possible one.

/** Parameters of the head, by their names in MAR's checkpoints below `diffloss`. */
export type DiffusionHead = {
  net: {
    time_embed: { mlp: { 0: Linear; 2: Linear } }; // 256 -> D, D -> D
    cond_embed: Linear; // Z -> D
    input_proj: Linear; // C -> D
    res_blocks: DenoisingBlock[];
    final_layer: { linear: Linear; adaLN_modulation: { 1: Linear } }; // D -> 2C; D -> 2D: shift, then scale
  };
};

/** A residual block of two linear layers, whose norm the condition modulates. */
export type DenoisingBlock = {
  in_ln: LayerNorm;
  mlp: { 0: Linear; 2: Linear }; // D -> D
  adaLN_modulation: { 1: Linear }; // D -> 3D: shift, scale, gate
};

/** Sines and cosines of a timestep. */
const frequencies = 128;

/**
 * Starting values are the reference's: xavier-uniform linears, N(0, 0.02²) for the embedding of the timestep, zero
 * modulations and a last layer of zeros.
 */
function diffusionHeadParameters(config: DiffusionHeadConfig): Declaration<DiffusionHead> {
  assertDiffusionHeadConfig(config);
  const { channels, featureWidth, width, depth } = config;
  return {
    net: {
      time_embed: { mlp: { 0: normalLinear(2 * frequencies, width), 2: normalLinear(width, width) } },
      cond_embed: linearParameters(featureWidth, width),
      input_proj: linearParameters(channels, width),
      res_blocks: Array.from({ length: depth }, () => ({
        in_ln: layerNormParameters(width),
        mlp: { 0: linearParameters(width, width), 2: linearParameters(width, width) },
        adaLN_modulation: { 1: zeroLinearParameters(width, 3 * width) },
      })),
      final_layer: {
        linear: zeroLinearParameters(width, 2 * channels),
        adaLN_modulation: { 1: zeroLinearParameters(width, 2 * width) },
      },
    },
  };
}

function normalLinear(inputs: number, outputs: number): Declaration<Linear> {
  return {
    weight: parameter([outputs, inputs], (key, shape) => normal(key, shape, 0.02)),
    bias: parameter([outputs], 0),
  };
}

/** Shapes of the head's parameters. @throws Error listing every field that no head can have */
export function diffusionHeadShapes(config: DiffusionHeadConfig): ShapesOf<DiffusionHead> {
  return shapesOf<DiffusionHead>(diffusionHeadParameters(config));
}

/**
 * Makes starting values as the reference draws them.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error listing every field of a configuration that no head can have
 */
export function initDiffusionHead(key: Key, config: DiffusionHeadConfig): DiffusionHead {
  return initParameters<DiffusionHead>(key, diffusionHeadParameters(config));
}

/** Options of a forward pass of the head. */
export type DenoiseOptions = {
  /** Keep each block's input only, and compute its inside again for the gradient. */
  rematerialize?: boolean;
};

/** What the network predicts of noisy values. */
export type Prediction = {
  /** The noise in them [R, C]. */
  noise: tf.Tensor2D;
  /** Where ln of the variance lies: −1 is the posterior's, 1 is β's [R, C]. */
  variance: tf.Tensor2D;
};

/** Projects context features [R, Z] to the width of the network [R, D]. They are the same at all timesteps of a position. */
export function embedFeatures({ net }: DiffusionHead, features: tf.Tensor2D): tf.Tensor2D {
  assertLastAxis('embedFeatures', 'features', features, net.cond_embed.weight.shape[1]!);
  return applyLinear(net.cond_embed, features);
}

/** Embeds timesteps of the training schedule, float32 [R] or one for all rows [1], as [R or 1, D]. */
export function embedTimesteps({ net }: DiffusionHead, timesteps: tf.Tensor1D): tf.Tensor2D {
  return tf.tidy(() => {
    const { 0: first, 2: second } = net.time_embed.mlp;
    const angles = tf.mul(tf.expandDims(timesteps, 1), tf.tensor1d(angularFrequencies)); // [R, 128]
    const waves = tf.concat([tf.cos(angles), tf.sin(angles)], 1) as tf.Tensor2D;
    return applyLinear(second, silu(applyLinear(first, waves)));
  });
}

/** 10000^(−i/128), rounded to float32 where the reference rounds: at timestep 1000 an angle differs visibly otherwise. */
const angularFrequencies = Float32Array.from({ length: frequencies }, (_, index) =>
  Math.exp(Math.fround(Math.fround(-Math.log(10000)) * index) / frequencies),
);

/**
 * Predicts the noise in noisy values, and its variance, both in float32.
 *
 * @param noisy - [R, C]
 * @param condition - sum of the embeddings of timestep and features [R, D]
 * @throws Error if a shape does not fit the parameters
 */
export function predictNoise(
  { net }: DiffusionHead,
  noisy: tf.Tensor2D,
  condition: tf.Tensor2D,
  { rematerialize = false }: DenoiseOptions = {},
): Prediction {
  assertShape('predictNoise', 'condition', condition, [noisy.shape[0], net.cond_embed.weight.shape[0]]);
  return tf.tidy(() => {
    const activated = silu(condition); // the input of all modulations
    const apply = rematerialize ? withRematerialization(applyBlock) : applyBlock;
    const hidden = net.res_blocks.reduce((x, block) => apply(block, x, activated), applyLinear(net.input_proj, noisy));
    const { linear, adaLN_modulation: modulation } = net.final_layer;
    const [shift, scale] = tf.split(applyLinear(modulation[1], activated), 2, 1);
    const output = applyLinear(linear, modulate(applyLayerNorm(null, hidden), shift, scale));
    // What follows takes differences of nearly equal numbers, and so is computed in float32.
    const [noise, variance] = (tf.split(output, 2, 1) as tf.Tensor2D[]).map(storeFloat32);
    return { noise, variance };
  });
}

/** x + gate · MLP(modulated norm of x): [R, D] to the same shape. */
function applyBlock(params: DenoisingBlock, x: tf.Tensor2D, activatedCondition: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const [shift, scale, gate] = tf.split(applyLinear(params.adaLN_modulation[1], activatedCondition), 3, 1);
    const input = modulate(applyLayerNorm(params.in_ln, x), shift, scale);
    const output = applyLinear(params.mlp[2], silu(applyLinear(params.mlp[0], input)));
    return tf.add(x, tf.mul(gate, output)) as tf.Tensor2D;
  });
}
