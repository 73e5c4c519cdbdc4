import { guidanceOfStep, maskedAfterStep } from '@tb/backbone';
import * as tf from '@tensorflow/tfjs-core';

// N = images, S = positions, M = predicted positions (padded)
//
// The host's side of sampling: which positions are known before each step, and which it predicts.

/** How many positions of an image are masked before and after a step. */
export type StepCounts = { step: number; before: number; after: number };

/**
 * Lists the steps that predict something; those that would leave the last masked position as it is are left out.
 *
 * @param masked - positions of an image that are masked at the beginning: all, or those that are to be edited
 */
export function stepCounts(steps: number, masked: number): StepCounts[] {
  const counts: StepCounts[] = [];
  for (let step = 0, before = masked; before > 0; step++) {
    const after = maskedAfterStep(step, steps, masked, before);
    if (after < before) counts.push({ step, before, after });
    before = after;
  }
  return counts;
}

/** What one step does to every image. */
export type PlannedStep = StepCounts & {
  /** The known positions of every image, ascending. */
  visible: Int32Array[];
  /** The positions to predict; all images have as many. */
  predicted: Int32Array[];
};

/**
 * Plans all steps for given orders.
 *
 * @param orders - one list of all positions per image, filled from its end; those that are known already are passed over
 * @param knownBefore - 1 where a position of an image is known at the beginning, [S] each; default: none is
 */
export function planOfOrders(
  orders: readonly ArrayLike<number>[],
  counts: readonly StepCounts[],
  knownBefore: readonly Uint8Array[] = orders.map(({ length }) => new Uint8Array(length)),
): PlannedStep[] {
  const known = knownBefore.map((flags) => flags.slice());
  const lists = orders.map((order, image) => Int32Array.from(order).filter((position) => !known[image][position]));
  return counts.map(({ step, before, after }) => {
    const visible = known.map(positionsWhereSet);
    const predicted = lists.map((order) => order.subarray(after, before));
    markAll(known, predicted);
    return { step, before, after, visible, predicted };
  });
}

/** Plans one step that predicts every masked position (Fig. 8: the most confident of them are then kept). */
export function planOfAllMasked(known: readonly Uint8Array[], counts: StepCounts): PlannedStep {
  const masked = known.map((flags) => positionsWhereSet(flags.map((flag) => 1 - flag)));
  return { ...counts, visible: known.map(positionsWhereSet), predicted: masked };
}

/** Marks the listed positions of every image as known. */
export function markAll(known: readonly Uint8Array[], lists: readonly Int32Array[]): void {
  for (const [image, list] of lists.entries()) for (const position of list) known[image][position] = 1;
}

function positionsWhereSet(flags: Uint8Array): Int32Array {
  const positions = new Int32Array(flags.length);
  let count = 0;
  for (let position = 0; position < flags.length; position++) if (flags[position]) positions[count++] = position;
  return positions.subarray(0, count);
}

/**
 * Chooses the `count` most confident predictions of each image; of equals the first.
 *
 * @param confidence - that of prediction k of image n is at n · stride + k
 * @returns places in each image's list of predictions
 */
export function mostConfident(
  predicted: readonly Int32Array[],
  count: number,
  confidence: Float32Array,
  stride: number,
): Int32Array[] {
  return predicted.map((list, image) => {
    const value = (slot: number) => confidence[image * stride + slot];
    return placesOf(list)
      .sort((a, b) => value(b) - value(a) || a - b)
      .slice(0, count);
  });
}

/** A plan on the device. Each step reads its row, so nothing is sent between steps. */
export type Plan = {
  /** The steps' numbers, which decide their noise; int32 [steps]. */
  steps: tf.Tensor1D;
  /** Guidance scales [steps]. */
  scales: tf.Tensor1D;
  /** Known positions, filled up with −1; int32 [steps, N, S]. */
  visible: tf.Tensor3D;
  /** Positions to predict, filled up with −1; int32 [steps, N, M]. */
  predicted: tf.Tensor3D;
  /** For every position its place in the step's list of predictions, −1 for none; int32 [steps, N, S]. */
  sources: tf.Tensor3D;
};

/** The guidance scale, and how it grows with the known positions. */
export type Guidance = { guidanceScale: number; guidanceSchedule: 'linear' | 'constant' };

/**
 * Sends a plan to the device.
 *
 * @param capacity - M, at least the length of the longest list of predictions
 */
export function planTensors(
  steps: readonly PlannedStep[],
  positions: number,
  capacity: number,
  { guidanceScale, guidanceSchedule }: Guidance,
): Plan {
  const images = steps[0].visible.length;
  const rows = (length: number, fill: (step: PlannedStep, row: Int32Array) => void) => {
    const data = new Int32Array(steps.length * images * length).fill(-1);
    const size = images * length;
    for (const [index, step] of steps.entries()) fill(step, data.subarray(index * size, (index + 1) * size));
    return tf.tensor3d(data, [steps.length, images, length], 'int32');
  };
  const listed = (pick: (step: PlannedStep) => Int32Array[], length: number) =>
    rows(length, (step, row) => {
      for (const [image, list] of pick(step).entries()) row.set(list, image * length);
    });
  return {
    steps: tf.tensor1d(
      steps.map(({ step }) => step),
      'int32',
    ),
    scales: tf.tensor1d(steps.map(({ after }) => guidanceOfStep(guidanceSchedule, guidanceScale, positions, after))),
    visible: listed(({ visible }) => visible, positions),
    predicted: listed(({ predicted }) => predicted, capacity),
    sources: rows(positions, ({ predicted }, row) => writeSources(row, predicted, predicted.map(placesOf))),
  };
}

/** For every position of every image its place in `predicted` if that prediction is kept, else −1; int32 [N, S]. */
export function sourcesOf(
  predicted: readonly Int32Array[],
  kept: readonly Int32Array[],
  positions: number,
): tf.Tensor2D {
  const sources = new Int32Array(predicted.length * positions).fill(-1);
  writeSources(sources, predicted, kept);
  return tf.tensor2d(sources, [predicted.length, positions], 'int32');
}

function writeSources(row: Int32Array, predicted: readonly Int32Array[], kept: readonly Int32Array[]): void {
  const positions = row.length / predicted.length;
  for (const [image, list] of predicted.entries())
    for (const slot of kept[image]) row[image * positions + list[slot]] = slot;
}

function placesOf(list: Int32Array): Int32Array {
  return Int32Array.from(list.keys());
}
