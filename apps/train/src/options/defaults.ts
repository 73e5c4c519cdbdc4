import { availableParallelism } from 'node:os';
import type { EngineValues } from '@tb/command-line';
import type {
  CacheValues,
  DataValues,
  DemoValues,
  EvalValues,
  FeaturesValues,
  ModelValues,
  RunValues,
  VaeValues,
} from './tables.js';

const engine = { backend: 'auto', precision: 'bf16' } as const satisfies EngineValues;

const data = {
  crops: false,
  cropsPerPhotograph: 1000,
  cropScaleMin: 0.25,
  cropScaleMax: 0.6,
  heldOut: 0.25,
  imageSize: 256,
  flip: true,
  badLimit: 0.05,
  threads: Math.min(8, Math.max(1, availableParallelism() - 1)),
} satisfies DataValues;

/** Optimizer of Tab. 4. */
const run = {
  resume: false,
  seed: 0,
  batch: 64,
  devices: 1,
  baseLearningRate: 1e-4,
  schedule: 'cosine',
  minimumLearningRate: 0,
  weightDecay: 0.02,
  beta1: 0.9,
  beta2: 0.95,
  clip: 1,
  ema: 0.9999,
  checkpointEvery: 1000,
  keepCheckpoints: 3,
  validateEvery: 1000,
  validationImages: 256,
  drawEvery: 1000,
  nanRetries: 2,
  half: false,
} as const satisfies RunValues;

export const vaeDefaults = {
  ...engine,
  ...data,
  ...run,
  preset: 'demo',
  out: 'runs/vae',
  steps: 5000,
  warmupSteps: 200,
  baseLearningRate: 4e-4,
  weightDecay: 0,
  beta2: 0.99,
  ema: 0.999,
  absoluteWeight: 1,
  squaredWeight: 1,
  gradientWeight: 0.5,
  klWeight: 1e-4,
} as const satisfies VaeValues;

const { flip: _flip, ...picturesAsTheyAre } = data;
const { imageSize: _imageSize, ...picturesOfAnySize } = picturesAsTheyAre;

export const cacheDefaults = {
  backend: engine.backend,
  ...picturesAsTheyAre,
  out: 'runs/cache',
  seed: 0,
  batch: 32,
  validationImages: 1024,
  samplesPerShard: 4096,
} as const satisfies CacheValues;

export const evalDefaults = {
  backend: engine.backend,
  ...picturesOfAnySize,
  samples: 500,
  batch: 20,
  seed: 0,
  numIter: 64,
  cfg: 1,
  json: 'eval.json',
} as const satisfies EvalValues;

export const demoDefaults = {
  backend: engine.backend,
  out: 'runs/demo',
  steps: 24,
  seed: 1,
  numIter: 16,
  cfg: 3,
  judged: 30,
} as const satisfies DemoValues;

const { drawEvery: _draw, half: _half, ...runOfFeatures } = run;

export const featuresDefaults = {
  ...engine,
  ...data,
  ...runOfFeatures,
  out: 'runs/features',
  imageSize: 64,
  steps: 400,
  batch: 64,
  learningRate: 2e-3,
  warmupSteps: 20,
  ema: 0.98,
  checkpointEvery: 200,
  validateEvery: 100,
} as const satisfies FeaturesValues;

const modelDefaults = {
  ...engine,
  ...data,
  ...run,
  out: 'runs/model',
  dropout: 0.1,
  labelDropout: 0.1,
  rematerialize: false,
} as const satisfies ModelValues;

/** Tab. 4 for the sizes of the paper: 800 epochs, 200 of them warm-up, batches of 2048. */
const paper = { batch: 2048, epochs: 800, warmupEpochs: 200, levels: 64 } as const;

export const modelPresets = {
  tiny: {
    ...modelDefaults,
    preset: 'tiny',
    imageSize: 64,
    levels: 64,
    batch: 64,
    steps: 2000,
    warmupSteps: 200,
    baseLearningRate: 1e-3,
    ema: 0.999,
  },
  // Micro-batches for a GPU of 80 GB: L took 96 GiB at 64, nearly all of it in proportion to the pictures.
  base: { ...modelDefaults, ...paper, preset: 'base', microBatch: 32 },
  large: { ...modelDefaults, ...paper, preset: 'large', microBatch: 32 },
  huge: { ...modelDefaults, ...paper, preset: 'huge', microBatch: 16 },
} as const satisfies Record<string, ModelValues>;
