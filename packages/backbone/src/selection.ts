import * as tf from '@tensorflow/tfjs-core';

// N = images, V = listed positions, S = positions, D = width

/**
 * A list of positions as a matrix: row v is 1 at the position that entry v names, and all 0 where it is −1. Its product
 * with features picks the listed positions, the product with its transpose puts them back, and both have gradients that
 * are matrix products too: no scatter, no data-dependent shape, and padding contributes exactly nothing.
 *
 * @param indices - int32 [N, V], each in [0, S) or −1
 * @returns float32 [N, V, S]
 */
export function selectionMatrix(indices: tf.Tensor2D, positions: number): tf.Tensor3D {
  return tf.tidy(() => {
    const all = tf.range(0, positions, 1, 'int32');
    return tf.cast(tf.equal(tf.expandDims(indices, 2), all), 'float32') as tf.Tensor3D;
  });
}

/**
 * The features of listed positions; zeros where the list says −1.
 *
 * @param features - [N, S, D]
 * @param indices - int32 [N, V]
 * @returns [N, V, D]
 */
export function selectPositions(features: tf.Tensor3D, indices: tf.Tensor2D): tf.Tensor3D {
  return tf.tidy(() => tf.matMul(selectionMatrix(indices, features.shape[1]), features));
}

/**
 * The same for integers, which a matrix product would round: position 0's where the list says −1.
 *
 * @param values - int32 [N, S, D]
 * @param indices - int32 [N, V]
 * @returns int32 [N, V, D]
 */
export function gatherPositions(values: tf.Tensor3D, indices: tf.Tensor2D): tf.Tensor3D {
  const [images, positions, width] = values.shape;
  return tf.tidy(() => {
    // Rows of all images counted through: the WASM backend's gather by batch mixes up the images.
    const firstRows = tf.reshape(tf.range(0, images * positions, positions, 'int32'), [images, 1]);
    const rows = tf.add(tf.maximum(indices, tf.scalar(0, 'int32')), firstRows);
    const gathered = tf.gather(tf.reshape(values, [images * positions, width]), tf.reshape(rows, [-1]));
    return tf.reshape(gathered, [images, indices.shape[1], width]);
  });
}
