/** Loss or gradients of a step were NaN or infinite; the update was not made. */
export class NonFiniteLossError extends Error {
  override readonly name = 'NonFiniteLossError';

  constructor(
    /** Number of the step, counted from 1. */
    readonly step: number,
    readonly loss: number,
    /** What the batch was made of. */
    readonly batch: string,
  ) {
    super(`the loss of step ${step} is ${loss}; its batch: ${batch}`);
  }
}
