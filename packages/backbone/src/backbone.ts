import {
  type Attention,
  applyAttention,
  applyEmbedding,
  applyLayerNorm,
  applyLinear,
  applyMlp,
  assertShape,
  attentionParameters,
  type BlockDropout,
  type Declaration,
  type Dropout,
  dropoutOfBlocks,
  type Embedding,
  embeddingParameters,
  initParameters,
  type LayerNorm,
  type Linear,
  layerNormParameters,
  linearParameters,
  type Mlp,
  mlpParameters,
  normal,
  parameter,
  type Shape,
  type ShapesOf,
  shapesOf,
} from '@tb/nn';
import { type Key, splitKey, rematerialize as withRematerialization } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { assertBackboneConfig, type BackboneConfig, type StackConfig } from './config.js';
import { selectionMatrix, selectPositions } from './positions.js';

// N = images, S = positions, V = visible positions (padded), C = channels, D = encoder width, Z = decoder width
//
// The masked autoregressive backbone, top to bottom: parameters, encoder, decoder, transformer blocks.

/** Parameters of the backbone, by their names in the official checkpoints. */
export type Backbone = {
  fake_latent: tf.Tensor; // [1, D], takes the place of the class embedding where the class is hidden
  encoder_pos_embed_learned: tf.Tensor; // [1, buffer + S, D]
  mask_token: tf.Tensor; // [1, 1, Z]
  decoder_pos_embed_learned: tf.Tensor; // [1, buffer + S, Z]
  output_pos_embed: tf.Tensor; // [1, S, Z]
  class_emb: Embedding; // [classes, D]
  z_proj: Linear; // C -> D
  z_proj_ln: LayerNorm;
  encoder_blocks: TransformerBlock[];
  encoder_norm: LayerNorm;
  decoder_embed: Linear; // D -> Z
  decoder_blocks: TransformerBlock[];
  decoder_norm: LayerNorm;
};

/** A pre-norm transformer block, by timm's names. */
export type TransformerBlock = {
  norm1: LayerNorm;
  attn: Attention;
  norm2: LayerNorm;
  mlp: Mlp;
};

/** Starting values are the reference's: N(0, 0.02²) for embeddings and tokens, xavier-uniform linears. */
function backboneParameters(config: BackboneConfig): Declaration<Backbone> {
  assertBackboneConfig(config);
  const { positions, channels, classes, bufferSize, encoder, decoder, mlpRatio } = config;
  const embedding = (shape: Shape) => parameter(shape, (key) => normal(key, shape, 0.02));
  const blocks = (stack: StackConfig) => Array.from({ length: stack.depth }, () => blockParameters(stack, mlpRatio));
  return {
    fake_latent: embedding([1, encoder.width]),
    encoder_pos_embed_learned: embedding([1, bufferSize + positions, encoder.width]),
    mask_token: embedding([1, 1, decoder.width]),
    decoder_pos_embed_learned: embedding([1, bufferSize + positions, decoder.width]),
    output_pos_embed: embedding([1, positions, decoder.width]),
    class_emb: embeddingParameters(classes, encoder.width, 0.02),
    z_proj: linearParameters(channels, encoder.width),
    z_proj_ln: layerNormParameters(encoder.width),
    encoder_blocks: blocks(encoder),
    encoder_norm: layerNormParameters(encoder.width),
    decoder_embed: linearParameters(encoder.width, decoder.width),
    decoder_blocks: blocks(decoder),
    decoder_norm: layerNormParameters(decoder.width),
  };
}

function blockParameters({ width, heads }: StackConfig, mlpRatio: number): Declaration<TransformerBlock> {
  return {
    norm1: layerNormParameters(width),
    attn: attentionParameters({ width, heads }),
    norm2: layerNormParameters(width),
    mlp: mlpParameters(width, width * mlpRatio),
  };
}

/** Shapes of the backbone's parameters. @throws Error listing every field that no backbone can have */
export function backboneShapes(config: BackboneConfig): ShapesOf<Backbone> {
  return shapesOf<Backbone>(backboneParameters(config));
}

/**
 * Makes starting values as the reference draws them.
 *
 * @returns float32 tensors that the caller disposes
 * @throws Error listing every field of a configuration that no backbone can have
 */
export function initBackbone(key: Key, config: BackboneConfig): Backbone {
  return initParameters<Backbone>(key, backboneParameters(config));
}

/** Inputs of `applyBackbone`. */
export type BackboneInputs = {
  /** De-quantized latents, float32 [N, S, C]. Values at positions that are not visible are never read. */
  values: tf.Tensor3D;
  /** Positions that the encoder sees, int32 [N, V], each in [0, S); −1 fills the list up to its static length V. */
  visible: tf.Tensor2D;
  /** Classes, int32 [N]. */
  labels: tf.Tensor1D;
  /** 1 where the class is hidden from the model, else 0; float32 [N]. */
  unlabelled: tf.Tensor1D;
};

/** Options of a forward pass of the backbone. */
export type StackOptions = {
  /** In training only. */
  dropout?: Dropout;
  /** Keep each block's input only, and compute its inside again for the gradient. */
  rematerialize?: boolean;
  /** Called with intermediate results and their official names. The tensor lives as long as the caller's scope. */
  observe?: (name: string, activation: tf.Tensor) => void;
};

/**
 * Computes context features of every position (the z of Eq. 6) from the visible positions and the class.
 *
 * @returns float32 [N, S, Z]
 * @throws Error if an input's shape does not fit the configuration
 */
export function applyBackbone(
  params: Backbone,
  config: BackboneConfig,
  inputs: BackboneInputs,
  options: StackOptions = {},
): tf.Tensor3D {
  const { positions, channels } = config;
  const images = inputs.values.shape[0];
  assertShape('applyBackbone', 'values', inputs.values, [images, positions, channels]);
  assertShape('applyBackbone', 'visible', inputs.visible, [images, null]);
  assertShape('applyBackbone', 'labels', inputs.labels, [images]);
  assertShape('applyBackbone', 'unlabelled', inputs.unlabelled, [images]);
  return tf.tidy(() => {
    const [encoderKey, decoderKey] = options.dropout ? splitKey(options.dropout.key, 2) : [];
    const withKey = (key: Key): StackOptions => ({
      ...options,
      dropout: options.dropout && { ...options.dropout, key },
    });
    const encoded = encode(params, config, inputs, withKey(encoderKey));
    return decode(params, config, encoded, inputs.visible, withKey(decoderKey));
  });
}

/**
 * The encoder sees the class tokens and the visible positions only.
 *
 * @returns the buffer and, in the order of `visible`, the visible positions [N, buffer + V, D]; rows of padding have no meaning
 */
function encode(params: Backbone, config: BackboneConfig, inputs: BackboneInputs, options: StackOptions): tf.Tensor3D {
  const { positions, bufferSize, encoder } = config;
  const { visible } = inputs;
  return tf.tidy(() => {
    const embedded = embed(params, config, inputs, options);
    const [buffer, tokens] = tf.split(embedded, [bufferSize, positions], 1) as tf.Tensor3D[];
    const sequence = tf.concat([buffer, selectPositions(tokens, visible)], 1) as tf.Tensor3D; // [N, buffer + V, D]
    const valid = tf.cast(tf.greaterEqual(visible, tf.scalar(0, 'int32')), 'int32');
    const keyCounts = tf.add(tf.sum(valid, 1), tf.scalar(bufferSize, 'int32')) as tf.Tensor1D;
    const stack = { name: 'encoder_blocks', heads: encoder.heads, keyCounts };
    const encoded = applyLayerNorm(params.encoder_norm, applyStack(params.encoder_blocks, sequence, stack, options));
    options.observe?.('encoder_norm', encoded);
    return encoded;
  });
}

/** Class tokens and all positions with their position embedding, normalized: [N, buffer + S, D]. */
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
  const classToken = tf.expandDims(embedClasses(params, inputs), 1); // [N, 1, D], the same everywhere in the buffer
  const embedded = tf.concat([tf.add(classToken, bufferEmbedding), tf.add(projected, positionEmbedding)], 1);
  const normalized = applyLayerNorm(params.z_proj_ln, embedded) as tf.Tensor3D;
  observe?.('z_proj_ln', normalized);
  return normalized;
}

/** The class's embedding, or `fake_latent` where the class is hidden: [N, D]. */
function embedClasses(params: Backbone, { labels, unlabelled }: BackboneInputs): tf.Tensor2D {
  const hidden = tf.expandDims(unlabelled, 1);
  const classes = applyEmbedding(params.class_emb, labels);
  return tf.add(tf.mul(hidden, params.fake_latent), tf.mul(tf.sub(1, hidden), classes));
}

/**
 * The decoder sees every position: the encoder's output where it is visible, the mask token elsewhere.
 *
 * @param encoded - the encoder's output [N, buffer + V, D]
 * @param visible - the positions of its rows after the buffer, −1 for padding; int32 [N, V]
 * @returns [N, S, Z]
 */
function decode(
  params: Backbone,
  config: BackboneConfig,
  encoded: tf.Tensor3D,
  visible: tf.Tensor2D,
  options: StackOptions,
): tf.Tensor3D {
  const { positions, bufferSize, decoder } = config;
  return tf.tidy(() => {
    const embedded = applyLinear(params.decoder_embed, encoded);
    options.observe?.('decoder_embed', embedded);
    const [buffer, visibleRows] = tf.split(embedded, [bufferSize, visible.shape[1]], 1);
    const selection = selectionMatrix(visible, positions); // [N, V, S]
    const placed = tf.matMul(selection, visibleRows, true); // [N, S, Z]
    const masked = tf.expandDims(tf.sub(1, tf.sum(selection, 1)), 2); // [N, S, 1]
    const tokens = tf.add(placed, tf.mul(masked, params.mask_token)) as tf.Tensor3D;
    const sequence = tf.add(tf.concat([buffer, tokens], 1), params.decoder_pos_embed_learned) as tf.Tensor3D;
    const stack = { name: 'decoder_blocks', heads: decoder.heads };
    const decoded = applyLayerNorm(params.decoder_norm, applyStack(params.decoder_blocks, sequence, stack, options));
    options.observe?.('decoder_norm', decoded);
    return tf.add(tf.slice(decoded, [0, bufferSize, 0]), params.output_pos_embed) as tf.Tensor3D;
  });
}

type Stack = {
  /** Its official name, for `observe`. */
  name: string;
  heads: number;
  /** How many tokens of each sequence may be attended to, the others being padding; int32 [N]. */
  keyCounts?: tf.Tensor1D;
};

/** Runs block after block: [N, tokens, width] to the same shape. */
function applyStack(
  blocks: readonly TransformerBlock[],
  x: tf.Tensor3D,
  { name, heads, keyCounts }: Stack,
  { dropout, rematerialize = false, observe }: StackOptions,
): tf.Tensor3D {
  const dropouts = dropoutOfBlocks(dropout, blocks.length);
  const apply = rematerialize ? withRematerialization(applyBlock) : applyBlock;
  return blocks.reduce((hidden, block, index) => {
    const output = apply(block, hidden, heads, keyCounts, dropouts[index]);
    observe?.(`${name}.${index}`, output);
    return output;
  }, x);
}

/** x + attention(norm(x)), then the same with the MLP. */
function applyBlock(
  params: TransformerBlock,
  x: tf.Tensor3D,
  heads: number,
  keyCounts?: tf.Tensor1D,
  dropout?: BlockDropout,
): tf.Tensor3D {
  return tf.tidy(() => {
    const attentionOptions = { heads, keyCounts, dropout: dropout?.attention };
    const attended = tf.add(x, applyAttention(params.attn, applyLayerNorm(params.norm1, x), attentionOptions));
    const mlpOutput = applyMlp(params.mlp, applyLayerNorm(params.norm2, attended), { dropout: dropout?.mlp });
    return tf.add(attended, mlpOutput) as tf.Tensor3D;
  });
}
