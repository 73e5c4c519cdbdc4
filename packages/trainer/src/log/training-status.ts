import { formatDuration, formatRate } from './format.js';

/** What the line under the cursor shows while a model is trained. */
export type TrainingStatus = {
  step: number;
  steps: number;
  loss: number;
  smoothedLoss: number;
  learningRate: number;
  imagesPerSecond: number;
  secondsLeft: number;
};

export function formatTrainingStatus(status: TrainingStatus): string {
  return [
    `step ${status.step}/${status.steps}`,
    `loss ${status.loss.toFixed(4)} (smoothed ${status.smoothedLoss.toFixed(4)})`,
    `lr ${status.learningRate.toExponential(2)}`,
    `${formatRate(status.imagesPerSecond)} images/s`,
    `${formatDuration(status.secondsLeft)} left`,
  ].join('  ');
}
