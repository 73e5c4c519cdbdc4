import type { Rectangle } from './read-sample.js';

/** How to make one training picture: decode a file, cut a square out, scale it, perhaps mirror it. */
export type SampleRequest = {
  path: string;
  /** Side of the result in pixels. */
  size: number;
  /** The ADM centre crop, or a square of the picture in its own pixels. */
  crop: 'centre' | Rectangle;
  mirror: boolean;
};

/** A labelled set of pictures, drawn from by index. */
export type ImageSource = {
  readonly classNames: readonly string[];
  /** Samples in one epoch. */
  readonly length: number;
  readonly size: number;
  labelOf(index: number): number;
  /** The sample as it is seen in an epoch: the same arguments always give the same request. */
  requestOf(index: number, epoch: number): SampleRequest;
};

/** A picture that could not be read, and why. */
export type BadImage = { path: string; reason: string };
