import { choice, engineOptions, grouped, integer, number, text, toggle, type ValuesOf } from '@tb/command-line';

/** Which pictures. */
export const dataOptions = grouped('Pictures', {
  data: text('folder with one folder of images per class (JPEG, PNG, WebP)', 'folder'),
  crops: toggle('cut random squares out of the photographs in --data instead, each photograph a class'),
  cropsPerPhotograph: integer('crops of each photograph in one epoch, or in a cache', { min: 1 }),
  cropScaleMin: number('smallest side of a crop, as a share of the shorter side of its photograph', { min: 0, max: 1 }),
  cropScaleMax: number('largest side of a crop, as a share of the shorter side of its photograph', { min: 0, max: 1 }),
  heldOut: number('share of every photograph that only validation sees', { min: 0, max: 0.9 }),
  validation: text('folder of validation images, in the form of --data', 'folder'),
  imageSize: integer('side of the training pictures in pixels', { min: 8, max: 4096 }),
  flip: toggle('mirror half of the pictures'),
  badLimit: number('share of unreadable images that stops the run, which three of them never do', { min: 0, max: 1 }),
  threads: integer('threads that decode images', { min: 1, max: 256 }),
});

const configOption = text('file of options, or the name of one that comes with tb-train', 'file');

/** One training run, whatever it trains. */
export const runOptions = grouped('Training', {
  config: configOption,
  out: text('folder of the run', 'folder'),
  resume: toggle('continue the run in --out from its newest checkpoint'),
  seed: integer('seed of everything random'),
  steps: integer('updates to make', { min: 1 }),
  epochs: number('length of the run where --steps is not given', { min: 0 }),
  batch: integer('pictures per update', { min: 1, max: 65536 }),
  microBatch: integer(
    'most pictures that a device works on at once; gradients add up to those of the batch (default: all on xla, else 8)',
    {
      min: 1,
    },
  ),
  devices: integer('GPUs of this machine that share each batch (backend xla)', { min: 1 }),
  learningRate: number('after the warm-up', { min: 0 }),
  baseLearningRate: number('learning rate per 256 pictures of a batch, where --learning-rate is not given', { min: 0 }),
  schedule: choice('of the learning rate after the warm-up', ['cosine', 'constant']),
  minimumLearningRate: number('at the end of the cosine', { min: 0 }),
  warmupSteps: integer('length of the warm-up'),
  warmupEpochs: number('length of the warm-up where --warmup-steps is not given', { min: 0 }),
  weightDecay: number('decoupled weight decay of everything but one-dimensional parameters', { min: 0 }),
  beta1: number('of AdamW', { min: 0, max: 0.999999 }),
  beta2: number('of AdamW', { min: 0, max: 0.999999 }),
  clip: number('largest norm of the gradients', { min: 0 }),
  ema: number('rate of the moving average of the weights', { min: 0, max: 1 }),
  checkpointEvery: integer('steps between checkpoints', { min: 1 }),
  keepCheckpoints: integer('checkpoints to keep', { min: 1 }),
  validateEvery: integer('steps between validations', { min: 1 }),
  validationImages: integer('pictures to validate on', { min: 1 }),
  drawEvery: integer('steps between sample pictures and reports', { min: 1 }),
  nanRetries: integer('times to go back to the last checkpoint after a loss that is not finite'),
  half: toggle('write the final weights in half precision'),
});

export const vaeOptions = {
  preset: choice('size of the autoencoder', ['demo', 'kl16']),
  initial: text('run or weights to start from', 'path'),
  absoluteWeight: number('weight of the mean absolute error', { min: 0 }),
  squaredWeight: number('weight of the mean squared error', { min: 0 }),
  gradientWeight: number('weight of the error of the image gradients', { min: 0 }),
  klWeight: number('weight of the KL divergence', { min: 0 }),
  ...dataOptions,
  ...runOptions,
  ...engineOptions,
};

export const modelOptions = {
  preset: choice('size of the model', ['tiny', 'base', 'large', 'huge']),
  cache: text('latent cache made by tb-train cache, instead of --data', 'folder'),
  vae: text('autoencoder: run of tb-train vae, .safetensors file or official .ckpt', 'path'),
  initial: text('run or weights to start from', 'path'),
  levels: integer('quantization levels B of a channel', { min: 2, max: 65536 }),
  dropout: number('rate of dropout, attention included', { min: 0, max: 0.99 }),
  labelDropout: number('share of labels hidden from the model, for guidance', { min: 0, max: 0.99 }),
  maskGranularity: integer(
    'pad the lists of masked positions to multiples of this: larger means fewer programs to compile',
    {
      min: 1,
    },
  ),
  rematerialize: toggle('compute the inside of each block again for the gradient: less memory, more time'),
  ...dataOptions,
  ...runOptions,
  ...engineOptions,
};

const { drawEvery: _draw, half: _half, ...runOfFeatures } = runOptions; // there is nothing to draw, and little to halve

export const featuresOptions = {
  ...dataOptions,
  imageSize: { ...integer('side of the training pictures in pixels', { min: 32, max: 4096 }), group: 'Pictures' },
  ...runOfFeatures,
  ...engineOptions,
};

const { precision: _precision, ...engineOfInference } = engineOptions; // training alone has the choice

// Of commands that only read pictures and weights: a cache holds both sides of the mirror, and what is measured is not
// mirrored.
const { flip: _flip, ...picturesAsTheyAre } = dataOptions;

export const cacheOptions = {
  out: text('folder of the cache', 'folder'),
  vae: modelOptions.vae,
  batch: integer('pictures encoded at a time; their mirror images come on top', { min: 1, max: 4096 }),
  seed: integer('of the crops'),
  validationImages: integer('held-out pictures to store', { min: 1 }),
  samplesPerShard: integer('pictures in one file of the cache', { min: 1 }),
  config: configOption,
  ...picturesAsTheyAre,
  ...engineOfInference,
};

export const evalOptions = {
  ...picturesAsTheyAre,
  ...engineOfInference,
  imageSize: {
    ...dataOptions.imageSize,
    description: 'side in pixels of the pictures of --data to compare with (default: that of the generated ones)',
  },
  model: text('run of tb-train model, or its weights', 'path'),
  vae: modelOptions.vae,
  features: text('feature network made by tb-train features; without it Inception-v3', 'file'),
  weights: text('of Inception-v3 (.pth, .safetensors); default: the caches of @tb/metrics and PyTorch', 'file'),
  samples: integer('pictures to generate, and pictures of --data to compare them with', { min: 2 }),
  batch: integer('pictures generated together', { min: 1, max: 4096 }),
  seed: integer('of the generated pictures, the crops and the bootstrap', { max: 2 ** 32 - 1 }),
  numIter: integer('steps in which a picture is generated', { min: 1 }),
  cfg: number('guidance scale', { min: 1 }),
  json: text('where the report is saved', 'file'),
};

export const demoOptions = {
  ...engineOfInference,
  weights: text('folder with vae.safetensors, model.safetensors and features.safetensors', 'folder'),
  out: text('folder for the pictures and the report', 'folder'),
  steps: integer('training steps to show', { min: 1 }),
  seed: integer('seed of the generated pictures', { max: 2 ** 32 - 1 }),
  numIter: integer('steps in which a picture is generated', { min: 1 }),
  cfg: number('guidance scale', { min: 1 }),
  judged: integer('generated pictures to judge, those that are shown among them; 0 for none'),
};

export type DataValues = ValuesOf<typeof dataOptions>;
export type RunValues = ValuesOf<typeof runOptions>;
export type VaeValues = ValuesOf<typeof vaeOptions>;
export type ModelValues = ValuesOf<typeof modelOptions>;
export type CacheValues = ValuesOf<typeof cacheOptions>;
export type FeaturesValues = ValuesOf<typeof featuresOptions>;
export type EvalValues = ValuesOf<typeof evalOptions>;
export type DemoValues = ValuesOf<typeof demoOptions>;

/** A configuration file of `tb-train vae`. */
export type VaeConfigFile = { command: 'vae' } & VaeValues;
/** A configuration file of `tb-train model`. */
export type ModelConfigFile = { command: 'model' } & ModelValues;
/** A configuration file of `tb-train cache`. */
export type CacheConfigFile = { command: 'cache' } & CacheValues;
/** A configuration file of `tb-train features`. */
export type FeaturesConfigFile = { command: 'features' } & FeaturesValues;
