import { disposeTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { positionCount } from './model.js';
import { type PreviewTensors, previewTensors, type SamplingState } from './sampling-programs.js';
import type { GeneratePreview, SamplingRequest } from './sampling-request.js';

// A preview is read from the state of its step before the next step consumes it, and shown once the device has computed it. So
// the device computes the next steps in the meantime, and the state keeps its memory.

/** A preview that the device computes. */
export type StartedPreview = Omit<GeneratePreview, 'latents' | 'confidence'> & { tensors: PreviewTensors };

/**
 * Starts the preview of a step.
 *
 * @param step - steps that are done
 * @param steps - all steps
 * @returns undefined where the step has none
 */
export function startPreview(
  { preview, config, labels }: SamplingRequest,
  state: SamplingState,
  maps: { isKnown: Uint8Array; stepOfPosition: Int32Array },
  step: number,
  steps: number,
): StartedPreview | undefined {
  if (!preview || step % preview.every !== 0 || step === steps) return undefined;
  const isKnown = tf.tensor2d(Float32Array.from(maps.isKnown), [labels.length, positionCount(config)]);
  try {
    const { tokens, confidence } = state;
    const tensors = previewTensors({ tokens, confidence }, isKnown, config);
    return { step, steps, isKnown: maps.isKnown.slice(), stepOfPosition: maps.stepOfPosition.slice(), tensors };
  } finally {
    isKnown.dispose();
  }
}

/** Shows a preview, and frees it. */
export async function showPreview({ preview }: SamplingRequest, started: StartedPreview | undefined): Promise<void> {
  if (!preview || !started) return;
  const { tensors, ...maps } = started;
  try {
    const confidence = Float32Array.from(await tensors.confidence.data());
    await preview.show({ ...maps, confidence, latents: tensors.latents });
  } finally {
    disposePreview(started);
  }
}

/** Frees a preview, also one that was shown. */
export function disposePreview(started: StartedPreview | undefined): void {
  if (started) disposeTree(started.tensors);
}
