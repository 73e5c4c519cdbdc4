import {
  type Embedding,
  embeddingShapes,
  initEmbedding,
  initLayerNorm,
  initLinear,
  type LayerNorm,
  type Linear,
  layerNormShapes,
  linearShapes,
  normal,
  type ShapesOf,
} from '@tb/nn';
import { type Key, splitKey } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertBackboneConfig, type BackboneConfig, type StackConfig } from './config.js';
import { applyDecoder } from './decoder.js';
import { applyEncoder } from './encoder.js';
import {
  initTransformerBlock,
  type StackOptions,
  type TransformerBlock,
  transformerBlockShapes,
} from './transformer-block.js';

// N = images, S = positions, V = capacity for visible positions, C = channels, L = buffer, D / E = encoder / decoder width

/** Parameters of the backbone, by their names in the official checkpoints. */
export type Backbone = {
  fake_latent: tf.Tensor; // [1, D], stands in for the class where it is hidden
  encoder_pos_embed_learned: tf.Tensor; // [1, L + S, D]
  mask_token: tf.Tensor; // [1, 1, E]
  decoder_pos_embed_learned: tf.Tensor; // [1, L + S, E]
  output_pos_embed: tf.Tensor; // [1, S, E]
  class_emb: Embedding;
  z_proj: Linear; // C -> D
  z_proj_ln: LayerNorm;
  encoder_blocks: TransformerBlock[];
  encoder_norm: LayerNorm;
  decoder_embed: Linear; // D -> E
  decoder_blocks: TransformerBlock[];
  decoder_norm: LayerNorm;
};

export type BackboneInputs = {
  /** De-quantized latents, float32 [N, S, C]. What stands at hidden positions is never read. */
  values: tf.Tensor3D;
  /** Positions that the encoder sees, int32 [N, V], each in [0, S); −1 fills up to the static capacity V. */
  visible: tf.Tensor2D;
  /** Classes, int32 [N]. */
  labels: tf.Tensor1D;
  /** 1 where the class is hidden from the model, else 0; float32 [N]. */
  unlabelled: tf.Tensor1D;
};

/** Shapes of the backbone's parameters. @throws Error listing every field that no backbone can have */
export function backboneShapes(config: BackboneConfig): ShapesOf<Backbone> {
  assertBackboneConfig(config);
  const { positions, channels, classes, bufferSize, encoder, decoder, mlpRatio } = config;
  const blocks = (stack: StackConfig) =>
    Array.from({ length: stack.depth }, () => transformerBlockShapes(stack, mlpRatio));
  return {
    fake_latent: [1, encoder.width],
    encoder_pos_embed_learned: [1, bufferSize + positions, encoder.width],
    mask_token: [1, 1, decoder.width],
    decoder_pos_embed_learned: [1, bufferSize + positions, decoder.width],
    output_pos_embed: [1, positions, decoder.width],
    class_emb: embeddingShapes(classes, encoder.width),
    z_proj: linearShapes(channels, encoder.width),
    z_proj_ln: layerNormShapes(encoder.width),
    encoder_blocks: blocks(encoder),
    encoder_norm: layerNormShapes(encoder.width),
    decoder_embed: linearShapes(encoder.width, decoder.width),
    decoder_blocks: blocks(decoder),
    decoder_norm: layerNormShapes(decoder.width),
  };
}

/**
 * Starting values as the reference draws them: N(0, 0.02²) for embeddings and tokens, xavier-uniform linears.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error listing every field of a configuration that no backbone can have
 */
export function initBackbone(key: Key, config: BackboneConfig): Backbone {
  assertBackboneConfig(config);
  const { positions, channels, classes, bufferSize, encoder, decoder, mlpRatio } = config;
  return tf.tidy(() => {
    const keys = splitKey(key, 10);
    const blocks = (blocksKey: Key, stack: StackConfig) =>
      splitKey(blocksKey, stack.depth).map((blockKey) => initTransformerBlock(blockKey, stack, mlpRatio));
    return {
      fake_latent: normal(keys[0], [1, encoder.width]),
      encoder_pos_embed_learned: normal(keys[1], [1, bufferSize + positions, encoder.width]),
      mask_token: normal(keys[2], [1, 1, decoder.width]),
      decoder_pos_embed_learned: normal(keys[3], [1, bufferSize + positions, decoder.width]),
      output_pos_embed: normal(keys[4], [1, positions, decoder.width]),
      class_emb: initEmbedding(keys[5], classes, encoder.width, 0.02),
      z_proj: initLinear(keys[6], channels, encoder.width),
      z_proj_ln: initLayerNorm(encoder.width),
      encoder_blocks: blocks(keys[7], encoder),
      encoder_norm: initLayerNorm(encoder.width),
      decoder_embed: initLinear(keys[8], encoder.width, decoder.width),
      decoder_blocks: blocks(keys[9], decoder),
      decoder_norm: initLayerNorm(decoder.width),
    };
  });
}

/**
 * Context features of every position (the z of Eq. 6), from the visible positions and the class.
 *
 * @returns float32 [N, S, E]
 * @throws Error if an input's shape does not fit the configuration
 */
export function applyBackbone(
  params: Backbone,
  config: BackboneConfig,
  inputs: BackboneInputs,
  options: StackOptions = {},
): tf.Tensor3D {
  return tf.tidy(() => {
    const [encoderKey, decoderKey] = options.dropout ? splitKey(options.dropout.key, 2) : [];
    const withKey = (key: Key): StackOptions => ({
      ...options,
      dropout: options.dropout && { ...options.dropout, key },
    });
    const encoded = applyEncoder(params, config, inputs, withKey(encoderKey));
    return applyDecoder(params, config, encoded, inputs.visible, withKey(decoderKey));
  });
}
