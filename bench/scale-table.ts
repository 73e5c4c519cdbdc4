/** The predictions of the cost model as tables for docs/distributed.md. */
import {
  checkpointWriteSeconds,
  type Failures,
  type Fleet,
  fitStepCosts,
  type Measurements,
  predictFailures,
  predictStep,
  type StepCosts,
} from './scale-model.js';

/** Parameters of the preset large, for 1000 classes. */
const largeParameters = 486_889_472;

type Case = { devices: number; microBatches: number; batch: number; stepMs: number };

/** The measurements in `bench/results/parallel.json`. */
export function measurementsOf(results: Record<'1x1' | '2x1' | '2x4', Case>): Measurements {
  const { '1x1': one, '2x1': all, '2x4': microBatched } = results;
  return {
    parameters: largeParameters,
    images: one.batch,
    devices: all.devices,
    oneMs: one.stepMs,
    allMs: all.stepMs,
    microBatchedMs: microBatched.stepMs,
    microBatches: microBatched.microBatches,
  };
}

/** Networks that the predictions are made for: names, and GB/s that a host of eight GPUs sends in an all-reduce. */
const networks = [
  { name: '8 × 400 Gb/s', networkGBps: 300 },
  { name: '1 × 100 Gb/s', networkGBps: 10 },
];

/** Predicted steps of one pass and of 8, for each size and network. */
export function stepRows(costs: StepCosts, sizes: readonly number[]): string[][] {
  return sizes.flatMap((devices) =>
    (devices > 8 ? networks : [{ name: 'none', networkGBps: 1 }]).map(({ name, networkGBps }) => {
      const fleet: Fleet = { devices, devicesPerHost: 8, networkGBps, latencyMs: 0.02 };
      const [once, eight] = [predictStep(costs, fleet), predictStep(costs, fleet, 8)];
      return [
        String(devices),
        name,
        `${once.exchangeMs.toFixed(0)} ms`,
        `${Math.round(once.imagesPerSecond).toLocaleString('en-US')}, ${percent(once.efficiency)}`,
        `${Math.round(eight.imagesPerSecond).toLocaleString('en-US')}, ${percent(eight.efficiency)}`,
      ];
    }),
  );
}

/** What the rows of failures assume. */
export const assumedFailures = {
  hoursPerDevice: 50_000,
  noticeSeconds: 30,
  restartSeconds: 120,
} as const satisfies Omit<Failures, 'checkpointSeconds'>;

/** What a host writes to a shared file system, in GB/s. */
const writeGBps = 2;

/** Predicted losses to failures, for each size. */
export function failureRows(costs: StepCosts, sizes: readonly number[]): string[][] {
  const checkpointSeconds = checkpointWriteSeconds(costs, writeGBps);
  return sizes.map((devices) => {
    const { hoursBetweenFailures, checkpointEverySeconds, goodput } = predictFailures(devices, {
      ...assumedFailures,
      checkpointSeconds,
    });
    return [
      String(devices),
      `${Math.round(hoursBetweenFailures).toLocaleString('en-US')} h`,
      `${Math.round(checkpointEverySeconds / 60)} min`,
      percent(goodput, 2),
    ];
  });
}

const percent = (share: number, decimals = 1) => `${(100 * share).toFixed(decimals)}%`;

/** The predictions in Markdown. */
export function predictionText(results: Record<'1x1' | '2x1' | '2x4', Case>): string {
  const costs = fitStepCosts(measurementsOf(results));
  const table = (head: string[], rows: string[][]) =>
    [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  return [
    `pass ${costs.passMs.toFixed(1)} ms, update ${costs.updateMs.toFixed(1)} ms, all-reduce within a host ${costs.hostGBps.toFixed(0)} GB/s`,
    table(
      ['GPUs', 'network of a host', 'exchange', 'images/s in one pass', 'images/s in 8 passes'],
      stepRows(costs, [8, 64, 512]),
    ),
    table(
      ['GPUs', 'between failures', 'checkpoint every', 'share of time that makes progress'],
      failureRows(costs, [8, 64, 512]),
    ),
  ].join('\n\n');
}
