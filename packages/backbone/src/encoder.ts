import { applyEmbedding, applyLayerNorm, applyLinear, assertShape } from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';
import type { Backbone, BackboneInputs } from './backbone.js';
import type { BackboneConfig } from './config.js';
import { selectPositions } from './selection.js';
import { applyTransformerStack, type StackOptions } from './transformer-block.js';

// N = images, S = positions, V = capacity for visible positions, C = channels, L = buffer, D = encoder width

/**
 * The encoder sees the class tokens and the visible positions only.
 *
 * @returns the buffer and, in the order of `visible`, the visible positions [N, L + V, D]; rows of padding have no meaning
 * @throws Error if an input's shape does not fit the configuration
 */
export function applyEncoder(
  params: Backbone,
  config: BackboneConfig,
  inputs: BackboneInputs,
  options: StackOptions = {},
): tf.Tensor3D {
  const { positions, channels, bufferSize, encoder } = config;
  const { visible } = inputs;
  const images = inputs.values.shape[0];
  assertShape('applyEncoder', 'values', inputs.values, [images, positions, channels]);
  assertShape('applyEncoder', 'visible', visible, [images, null]);
  assertShape('applyEncoder', 'labels', inputs.labels, [images]);
  assertShape('applyEncoder', 'unlabelled', inputs.unlabelled, [images]);
  return tf.tidy(() => {
    const embedded = embed(params, config, inputs, options);
    const [buffer, tokens] = tf.split(embedded, [bufferSize, positions], 1) as tf.Tensor3D[];
    const sequence = tf.concat([buffer, selectPositions(tokens, visible)], 1) as tf.Tensor3D; // [N, L + V, D]
    const valid = tf.cast(tf.greaterEqual(visible, tf.scalar(0, 'int32')), 'int32');
    const keyCounts = tf.add(tf.sum(valid, 1), tf.scalar(bufferSize, 'int32')) as tf.Tensor1D;
    const stack = { name: 'encoder_blocks', heads: encoder.heads, keyCounts };
    const encoded = applyLayerNorm(
      params.encoder_norm,
      applyTransformerStack(params.encoder_blocks, sequence, stack, options),
    );
    options.observe?.('encoder_norm', encoded);
    return encoded;
  });
}

/** Class tokens and all positions with their position embedding, normalized: [N, L + S, D]. */
function embed(
  params: Backbone,
  config: BackboneConfig,
  inputs: BackboneInputs,
  { observe }: StackOptions,
): tf.Tensor3D {
  const projected = applyLinear(params.z_proj, inputs.values); // [N, S, D]
  observe?.('z_proj', projected);
  const [bufferEmbedding, positionEmbedding] = tf.split(
    params.encoder_pos_embed_learned as tf.Tensor3D,
    [config.bufferSize, config.positions],
    1,
  );
  const classToken = tf.expandDims(embedClasses(params, inputs), 1); // [N, 1, D], the same at all L places of the buffer
  const embedded = tf.concat([tf.add(classToken, bufferEmbedding), tf.add(projected, positionEmbedding)], 1);
  const normalized = applyLayerNorm(params.z_proj_ln, embedded) as tf.Tensor3D;
  observe?.('z_proj_ln', normalized);
  return normalized;
}

/** [N, D]: the class's embedding, or `fake_latent` where the class is hidden. */
function embedClasses(params: Backbone, { labels, unlabelled }: BackboneInputs): tf.Tensor2D {
  const hidden = tf.expandDims(unlabelled, 1);
  const known = applyEmbedding(params.class_emb, labels);
  return tf.add(tf.mul(hidden, params.fake_latent), tf.mul(tf.sub(1, hidden), known));
}
