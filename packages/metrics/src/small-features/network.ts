import {
  applyConv2d,
  applyGroupNorm,
  applyLinear,
  assertShape,
  type Conv2d,
  conv2dParameters,
  type Declaration,
  type GroupNorm,
  groupNormParameters,
  initParameters,
  type Linear,
  linearParameters,
  type ShapesOf,
  shapesOf,
  silu,
} from '@tb/nn';
import { foldIn, type Key } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

// N = images, H, W = height and width, D = width of the features, K = classes

/**
 * A small convolutional classifier for where Inception-v3 cannot be used or does not fit: small images, small data
 * sets, no download. Distances on its features are never an FID.
 */
export type SmallFeatureConfig = {
  classes: number;
  /** Side in pixels that the network reads; images of other sizes are resized to it. At least 32. */
  imageSize: number;
  /** Channels after each convolution, multiples of 8; the last is the width of the features. */
  widths: readonly number[];
};

/** A 3×3 convolution, a norm and SiLU for each of the widths, then a linear classifier of the means. */
export type SmallFeatures = {
  stages: Stage[];
  classifier: Linear; // D -> K
};

type Stage = { convolution: Conv2d; norm: GroupNorm };

/** 187 thousand parameters for ten classes; 64×64 images shrink to 8×8. */
export const smallFeatureWidths: readonly number[] = [32, 64, 96, 128];

/** Halves height and width in so many stages, then keeps them. */
const HALVINGS = 3;

/** Starting values are PyTorch's default for convolutions, norms at identity, a xavier-uniform classifier. */
function smallFeatureParameters({ classes, imageSize, widths }: SmallFeatureConfig): Declaration<SmallFeatures> {
  if (!(Number.isInteger(imageSize) && imageSize >= 32)) {
    throw new RangeError(`smallFeatureShapes: imageSize must be an integer of at least 32, got ${imageSize}`);
  }
  if (!(Number.isInteger(classes) && classes >= 2)) {
    throw new RangeError(`smallFeatureShapes: classes must be an integer of at least 2, got ${classes}`);
  }
  if (widths.length === 0 || widths.some((width) => width < 8 || width % 8 !== 0)) {
    throw new RangeError(`smallFeatureShapes: widths must be multiples of 8, got [${widths.join(', ')}]`);
  }
  return {
    stages: widths.map((width, stage) => ({
      convolution: conv2dParameters(stage === 0 ? 3 : widths[stage - 1], width, 3),
      norm: groupNormParameters(width),
    })),
    classifier: linearParameters(widths[widths.length - 1], classes),
  };
}

/** Shapes of the network's parameters. @throws RangeError if no network has this configuration */
export function smallFeatureShapes(config: SmallFeatureConfig): ShapesOf<SmallFeatures> {
  return shapesOf<SmallFeatures>(smallFeatureParameters(config));
}

/**
 * Makes starting values: PyTorch's default for the convolutions, norms at identity, a xavier-uniform classifier.
 *
 * @returns float32 tensors that the caller disposes
 * @throws RangeError if no network has this configuration
 */
export function initSmallFeatures(key: Key, config: SmallFeatureConfig): SmallFeatures {
  const { stages, classifier } = smallFeatureParameters(config);
  return tf.tidy(() => ({
    stages: stages.map((stage, index) => initParameters<Stage>(foldIn(key, index), stage)),
    classifier: initParameters<Linear>(foldIn(key, stages.length), classifier),
  }));
}

/**
 * @param images - [N, H, W, 3] of any size, values 0 to 255
 * @returns the features after the last stage, averaged over positions [N, D], and the logits [N, K]
 * @throws Error if the images have another number of channels
 */
export function applySmallFeatures(
  params: SmallFeatures,
  { imageSize }: SmallFeatureConfig,
  images: tf.Tensor4D,
): { features: tf.Tensor2D; logits: tf.Tensor2D } {
  assertShape('applySmallFeatures', 'images', images, [null, null, null, 3]);
  return tf.tidy(() => {
    const [, height, width] = images.shape;
    const resized =
      height === imageSize && width === imageSize
        ? images
        : tf.image.resizeBilinear(images, [imageSize, imageSize], false, true);
    let x = tf.sub(tf.div(resized, 127.5), 1) as tf.Tensor4D;
    for (const [stage, { convolution, norm }] of params.stages.entries()) {
      const stride = stage < HALVINGS ? 2 : 1;
      const convolved = applyConv2d(convolution, x, { stride, padding: 1 });
      x = silu(applyGroupNorm(norm, convolved, { groups: 8 }));
    }
    const features = tf.mean(tf.mean(x, 2), 1) as tf.Tensor2D; // [N, D]
    return { features, logits: applyLinear(params.classifier, features) };
  });
}
