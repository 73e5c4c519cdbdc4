import { jit } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { VaeConfig } from './config.js';
import { decode, encode, type Vae } from './vae.js';

// N = images, C = channels of a latent
//
// The autoencoder as compiled programs, and the conversion between images in bytes and tensors.

/** An image in memory: 8-bit RGB, row after row, three bytes a pixel. */
export type Pixels = { width: number; height: number; data: Uint8Array };

/** Both halves of an autoencoder as compiled programs, between images in bytes and latents in memory. */
export type Autoencoder = {
  /**
   * Encodes images to the means of their latents.
   *
   * @param images - RGB bytes [N, size, size, 3]
   * @returns [N, height, width, C] in the autoencoder's units
   */
  encode(params: Vae, images: Uint8Array): Promise<Float32Array>;
  /**
   * Encodes images to means and log-variances, from which training draws latents.
   *
   * @param images - RGB bytes [N, size, size, 3]
   * @returns [N, height, width, 2C]: C means, then C log-variances
   */
  encodeMoments(params: Vae, images: Uint8Array): Promise<Float32Array>;
  /**
   * Encodes images and their mirror images, which are made on the device.
   *
   * @param images - RGB bytes [N, size, size, 3]
   * @returns [N, 2, height, width, 2C]: of the image and of its mirror image what `encodeMoments` returns
   */
  encodeMirrored(params: Vae, images: Uint8Array): Promise<Float32Array>;
  /**
   * Decodes latents to images.
   *
   * @param latents - in the autoencoder's units
   * @param shape - [N, height, width, C]
   */
  decode(params: Vae, latents: Float32Array, shape: [number, number, number, number]): Promise<Pixels[]>;
};

/**
 * Makes an autoencoder for images of one size.
 *
 * @param size - height and width in pixels of the images to encode, a multiple of the downsampling factor
 */
export function createAutoencoder(config: VaeConfig, size: number): Autoencoder {
  const encodeBytes = async (program: typeof encodeMoments, params: Vae, bytes: Uint8Array): Promise<Float32Array> => {
    const images = imagesToTensor(bytes, bytes.length / (size * size * 3), size);
    let encoded: tf.Tensor4D | undefined;
    try {
      encoded = program(params, config, images);
      return Float32Array.from(await encoded.data());
    } finally {
      tf.dispose([images, encoded] as tf.TensorContainer);
    }
  };
  return {
    encode: (params, images) => encodeBytes(encodeMean, params, images),
    encodeMoments: (params, images) => encodeBytes(encodeMoments, params, images),
    encodeMirrored: (params, images) => encodeBytes(encodeMirrored, params, images),
    async decode(params, values, shape) {
      const latents = tf.tensor4d(values, shape);
      try {
        return await decodeToImages(params, config, latents);
      } finally {
        latents.dispose();
      }
    },
  };
}

const encodeMean = jit((params: Vae, config: VaeConfig, images: tf.Tensor4D) => encode(params, config, images).mean, {
  static: [1],
  name: 'encode',
});

const encodeMoments = jit(momentsOf, { static: [1], name: 'encode' });

const encodeMirrored = jit(
  (params: Vae, config: VaeConfig, images: tf.Tensor4D) => {
    const [count, height, width, channels] = images.shape;
    const pairs = tf.stack([images, tf.reverse(images, 2)], 1); // [N, 2, height, width, 3]
    return momentsOf(params, config, tf.reshape(pairs, [2 * count, height, width, channels]));
  },
  { static: [1], name: 'encodeMirrored' },
);

function momentsOf(params: Vae, config: VaeConfig, images: tf.Tensor4D): tf.Tensor4D {
  const { mean, logVariance } = encode(params, config, images);
  return tf.concat([mean, logVariance], 3);
}

const compiledDecode = jit(decode, { static: [1] });

/**
 * Decodes latents to images by a compiled program.
 *
 * @param latents - [N, height, width, C] in the autoencoder's units; they stay alive
 */
export async function decodeToImages(params: Vae, config: VaeConfig, latents: tf.Tensor4D): Promise<Pixels[]> {
  const images = compiledDecode(params, config, latents);
  try {
    return await tensorToImages(images);
  } finally {
    images.dispose();
  }
}

/**
 * Makes the program of `decodeToImages` ready ahead of need, where the backend compiles.
 *
 * @param shape - of the latents, [N, height, width, C]
 * @throws Error (rejecting) when it does not compile; `decodeToImages` then tries again
 */
export function prepareDecoding(
  params: Vae,
  config: VaeConfig,
  shape: [number, number, number, number],
): Promise<void> {
  const latents = tf.fill<tf.Rank.R4>(shape, 0);
  const prepared = compiledDecode.prepare(params, config, latents);
  latents.dispose();
  return prepared;
}

const valueOfByte = Float32Array.from({ length: 256 }, (_, byte) => byte / 127.5 - 1);

/** Converts square images from RGB bytes [count, size, size, 3] to a tensor of that shape with values in [-1, 1]. */
export function imagesToTensor(bytes: Uint8Array, count: number, size: number): tf.Tensor4D {
  const values = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) values[i] = valueOfByte[bytes[i]];
  return tf.tensor4d(values, [count, size, size, 3]);
}

/** Converts a tensor [N, height, width, 3] of values around [-1, 1] to images, rounding to the nearest byte. */
export async function tensorToImages(images: tf.Tensor4D): Promise<Pixels[]> {
  const [count, height, width] = images.shape;
  const values = await images.data();
  const length = height * width * 3;
  return Array.from({ length: count }, (_, index) => ({
    width,
    height,
    data: Uint8Array.from(values.subarray(index * length, (index + 1) * length), (value) =>
      Math.round(Math.min(Math.max((value + 1) * 127.5, 0), 255)),
    ),
  }));
}
