import { applyLayerNorm, applyLinear } from '@tb/nn';
import * as tf from '@tensorflow/tfjs-core';
import type { Backbone } from './backbone.js';
import type { BackboneConfig } from './config.js';
import { selectionMatrix } from './selection.js';
import { applyTransformerStack, type StackOptions } from './transformer-block.js';

// N = images, S = positions, V = capacity for visible positions, L = buffer, D / E = encoder / decoder width

/**
 * The decoder sees every position: the encoder's output where it is visible, the mask token elsewhere.
 *
 * @param encoded - the encoder's output [N, L + V, D]
 * @param visible - the positions that its rows after the buffer belong to, −1 for padding; int32 [N, V]
 * @returns [N, S, E]
 */
export function applyDecoder(
  params: Backbone,
  config: BackboneConfig,
  encoded: tf.Tensor3D,
  visible: tf.Tensor2D,
  options: StackOptions = {},
): tf.Tensor3D {
  const { positions, bufferSize, decoder } = config;
  return tf.tidy(() => {
    const embedded = applyLinear(params.decoder_embed, encoded);
    options.observe?.('decoder_embed', embedded);
    const [buffer, known] = tf.split(embedded, [bufferSize, visible.shape[1]], 1);
    const selection = selectionMatrix(visible, positions); // [N, V, S]
    const placed = tf.matMul(selection, known, true); // [N, S, E]
    const hidden = tf.expandDims(tf.sub(1, tf.sum(selection, 1)), 2); // [N, S, 1]
    const tokens = tf.add(placed, tf.mul(hidden, params.mask_token)) as tf.Tensor3D;
    const sequence = tf.add(tf.concat([buffer, tokens], 1), params.decoder_pos_embed_learned) as tf.Tensor3D;
    const stack = { name: 'decoder_blocks', heads: decoder.heads };
    const decoded = applyLayerNorm(
      params.decoder_norm,
      applyTransformerStack(params.decoder_blocks, sequence, stack, options),
    );
    options.observe?.('decoder_norm', decoded);
    return tf.add(tf.slice(decoded, [0, bufferSize, 0]), params.output_pos_embed) as tf.Tensor3D;
  });
}
