// The noise schedule as tables of float64 numbers, one entry per timestep: the cosine schedule of Nichol & Dhariwal (2021), and
// the schedule that remains when sampling visits only some of its timesteps. MAR's code (its `diffusion` folder, which is
// ADM's) computes the same.

/** Number of timesteps with which the head is trained. */
export const trainingSteps = 1000;

/** A noise schedule: what every step of it does to a value. Tables have one entry per step, from the least noise to the most. */
export type NoiseSchedule = {
  /** At each step, the timestep of the training schedule that conditions the network. */
  timesteps: readonly number[];
  /** √ᾱ: the share of the value in its noisy version. */
  signal: Float64Array;
  /** √(1 − ᾱ): the share of the noise. */
  noise: Float64Array;
  /** √(1/ᾱ) and √(1/ᾱ − 1): the value is `inverseSignal` · noisy − `inverseNoise` · noise. */
  inverseSignal: Float64Array;
  inverseNoise: Float64Array;
  /** Weights of the value and of its noisy version in the mean of the posterior q(x_{t−1} | x_t, x_0). */
  meanOfValue: Float64Array;
  meanOfNoisy: Float64Array;
  /** ln of the posterior's variance, the least that the network may choose. The first, which would be −∞, is the second. */
  leastLogVariance: Float64Array;
  /** ln β, the largest variance that the network may choose. */
  largestLogVariance: Float64Array;
};

/**
 * The schedule of a number of sampling steps.
 *
 * @param steps - in [2, 1000]; 1000 is the schedule of training
 * @throws RangeError if it is not such a number
 */
export function noiseSchedule(steps: number = trainingSteps): NoiseSchedule {
  let schedule = schedules.get(steps);
  if (!schedule) {
    schedule = scheduleOf(timestepsOf(steps));
    schedules.set(steps, schedule);
  }
  return schedule;
}

const schedules = new Map<number, NoiseSchedule>();

/** Timesteps spread evenly over those of training, the first and the last included. */
function timestepsOf(steps: number): number[] {
  if (!Number.isInteger(steps) || steps < 2 || steps > trainingSteps)
    throw new RangeError(`noiseSchedule: steps must be an integer in [2, ${trainingSteps}], got ${steps}`);
  const stride = (trainingSteps - 1) / (steps - 1);
  const timesteps: number[] = [];
  for (let step = 0, at = 0; step < steps; step++, at += stride) timesteps.push(roundHalfToEven(at));
  return timesteps;
}

/** Python's `round`, with which the reference spreads the timesteps. */
function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

function scheduleOf(timesteps: number[]): NoiseSchedule {
  const all = cumulativeSignal();
  const cumulative = timesteps.map((timestep) => all[timestep]);
  const before = [1, ...cumulative.slice(0, -1)]; // ᾱ of the step before
  const betas = cumulative.map((value, step) => 1 - value / before[step]);
  // Products of the new β, not the ᾱ that they came from: the reference rounds so.
  const products: number[] = [];
  betas.reduce((product, beta) => {
    products.push(product * (1 - beta));
    return product * (1 - beta);
  }, 1);
  const previous = [1, ...products.slice(0, -1)];
  const table = (entry: (step: number) => number) => Float64Array.from(timesteps, (_, step) => entry(step));
  const variance = betas.map((beta, step) => (beta * (1 - previous[step])) / (1 - products[step]));
  return {
    timesteps,
    signal: table((step) => Math.sqrt(products[step])),
    noise: table((step) => Math.sqrt(1 - products[step])),
    inverseSignal: table((step) => Math.sqrt(1 / products[step])),
    inverseNoise: table((step) => Math.sqrt(1 / products[step] - 1)),
    meanOfValue: table((step) => (betas[step] * Math.sqrt(previous[step])) / (1 - products[step])),
    meanOfNoisy: table((step) => ((1 - previous[step]) * Math.sqrt(1 - betas[step])) / (1 - products[step])),
    leastLogVariance: table((step) => Math.log(variance[Math.max(1, step)])),
    largestLogVariance: table((step) => Math.log(betas[step])),
  };
}

/** ᾱ of every timestep of training: the product of 1 − β, with β at most 0.999. */
function cumulativeSignal(): number[] {
  const share = (time: number) => Math.cos((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  const cumulative: number[] = [];
  for (let step = 0, product = 1; step < trainingSteps; step++) {
    const ratio = share((step + 1) / trainingSteps) / share(step / trainingSteps);
    product *= 1 - Math.min(1 - ratio, 0.999);
    cumulative.push(product);
  }
  return cumulative;
}
