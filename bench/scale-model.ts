/**
 * What training on many GPUs would cost: a model with few numbers, fitted to measurements on one and two GPUs. Everything
 * beyond those is a prediction, and the speeds of networks are assumptions of the reader.
 */

/** Measured on one device, on several devices of one host, and on as many in micro-batches. */
export type Measurements = {
  /** Trainable parameters. */
  parameters: number;
  /** Images per device and pass. */
  images: number;
  /** Devices of the two other measurements. */
  devices: number;
  /** Milliseconds of a step on one device, in one pass. */
  oneMs: number;
  /** On all devices, in one pass. */
  allMs: number;
  /** On all devices, in `microBatches` passes. */
  microBatchedMs: number;
  microBatches: number;
};

/** The parts of a step, from measurements. */
export type StepCosts = {
  parameters: number;
  images: number;
  /** Forward and backward pass of one micro-batch, in ms. */
  passMs: number;
  /** Optimizer and averages, in ms. */
  updateMs: number;
  /**
   * Speed of an all-reduce within a host, in GB/s of the data that each GPU sends: what does not overlap with the backward
   * pass counts as if it were all, so the real links are faster.
   */
  hostGBps: number;
};

/** Bytes of one gradient: they are averaged in float32. */
const gradientBytes = 4;

/** Bytes per parameter that a checkpoint holds: parameters, their average, and two moments. */
const checkpointBytes = 16;

/** Share of the data that each of `count` members of a ring sends in an all-reduce. */
const ring = (count: number) => (2 * (count - 1)) / count;

/**
 * Fits the costs to three measurements, which they then reproduce exactly: oneMs = pass + update, allMs = oneMs + exchange,
 * microBatchedMs = microBatches × pass + update + exchange.
 *
 * @throws RangeError when the measurements contradict the model
 */
export function fitStepCosts(measured: Measurements): StepCosts {
  const { parameters, images, devices, oneMs, allMs, microBatchedMs, microBatches } = measured;
  const exchangeMs = allMs - oneMs;
  const passMs = (microBatchedMs - allMs) / (microBatches - 1);
  const updateMs = oneMs - passMs;
  if (!(exchangeMs > 0 && passMs > 0 && updateMs >= 0))
    throw new RangeError(
      `the times must grow with devices and micro-batches, got ${oneMs}, ${allMs}, ${microBatchedMs} ms`,
    );
  const sent = ring(devices) * parameters * gradientBytes;
  return { parameters, images, passMs, updateMs, hostGBps: sent / exchangeMs / 1e6 };
}

/** The machines of a job. */
export type Fleet = {
  devices: number;
  devicesPerHost: number;
  /** Data that a host sends per second in an all-reduce between hosts, in GB/s, over all of its network cards. */
  networkGBps: number;
  /** Delay of one message between hosts, in ms. */
  latencyMs: number;
};

/** A step on a fleet. */
export type StepPrediction = {
  devices: number;
  /** Images per update. */
  batch: number;
  exchangeMs: number;
  stepMs: number;
  imagesPerSecond: number;
  /** Speed over that of as many single devices, from 0 to 1. */
  efficiency: number;
};

/**
 * Predicts a step in which each device processes `microBatches` passes. The gradients are summed within each host, between
 * the hosts, and sent back within each host; nothing of it overlaps more than it did where it was measured.
 */
export function predictStep(costs: StepCosts, fleet: Fleet, microBatches = 1): StepPrediction {
  const { passMs, updateMs, images } = costs;
  const computeMs = microBatches * passMs + updateMs;
  const exchangeMs = exchangeTime(costs, fleet);
  const stepMs = computeMs + exchangeMs;
  const batch = fleet.devices * microBatches * images;
  return {
    devices: fleet.devices,
    batch,
    exchangeMs,
    stepMs,
    imagesPerSecond: (1000 * batch) / stepMs,
    efficiency: computeMs / stepMs,
  };
}

function exchangeTime({ parameters, hostGBps }: StepCosts, fleet: Fleet): number {
  const { devices, devicesPerHost, networkGBps, latencyMs } = fleet;
  if (!Number.isInteger(devices) || devices < 1) throw new RangeError(`devices must be at least 1, got ${devices}`);
  const megabytes = (parameters * gradientBytes) / 1e6;
  const within = Math.min(devices, devicesPerHost);
  const hosts = Math.ceil(devices / devicesPerHost);
  const between = (ring(hosts) * megabytes) / networkGBps + 2 * Math.ceil(Math.log2(hosts)) * latencyMs;
  return (ring(within) * megabytes) / hostGBps + (hosts > 1 ? between : 0);
}

/** How often something fails, and what it costs. */
export type Failures = {
  /** Hours between two failures of one GPU, with everything that belongs to it. */
  hoursPerDevice: number;
  /** Seconds that training stands still for a checkpoint. */
  checkpointSeconds: number;
  /** Seconds until a failure is noticed. */
  noticeSeconds: number;
  /** Seconds from the new start to the first step. */
  restartSeconds: number;
};

/** What failures cost a job. */
export type FailurePrediction = {
  hoursBetweenFailures: number;
  /** Seconds between checkpoints that lose the least time (Young 1974): √(2 × checkpoint × time between failures). */
  checkpointEverySeconds: number;
  /** Share of the time that makes progress, from 0 to 1. */
  goodput: number;
};

/** Predicts what is lost to checkpoints, and to the work since the last one. */
export function predictFailures(devices: number, failures: Failures): FailurePrediction {
  const { hoursPerDevice, checkpointSeconds, noticeSeconds, restartSeconds } = failures;
  const meanSeconds = (hoursPerDevice * 3600) / devices;
  const every = Math.sqrt(2 * checkpointSeconds * meanSeconds);
  const lost = checkpointSeconds / every + (every / 2 + noticeSeconds + restartSeconds) / meanSeconds;
  return {
    hoursBetweenFailures: meanSeconds / 3600,
    checkpointEverySeconds: every,
    goodput: Math.max(0, 1 - lost),
  };
}

/** Seconds to write a checkpoint at a speed in GB/s. */
export const checkpointWriteSeconds = ({ parameters }: Pick<StepCosts, 'parameters'>, gigabytesPerSecond: number) =>
  (parameters * checkpointBytes) / 1e9 / gigabytesPerSecond;
