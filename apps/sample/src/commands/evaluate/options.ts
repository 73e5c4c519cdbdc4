import {
  backendOptions,
  choice,
  flagName,
  integer,
  type Overrides,
  omit,
  resolve,
  text,
  toggle,
  UsageError,
  type Values,
} from '@tb/command-line';

export const evaluateOptions = {
  ...omit(backendOptions, 'precision'),
  pairs: toggle('compare images of the same name one by one (PSNR, SSIM), rather than the two sets (FID)', {
    default: false,
  }),
  weights: text('weights of Inception-v3 (.pth, .safetensors)', {
    placeholder: 'file',
    defaultText: 'the caches of @tb/metrics and PyTorch',
  }),
  allowOtherWeights: toggle('accept weights other than the published ones; the distance is then not an FID', {
    default: false,
  }),
  preprocessing: choice('resize and normalization of which evaluator', ['tensorflow', 'pytorch-fid'], {
    default: 'tensorflow',
  }),
  batch: integer('images per forward pass', { min: 1, default: 32 }),
  keep: integer('images whose features are kept for precision, recall, KID and the interval', {
    min: 2,
    default: 10_000,
  }),
  resamples: integer('bootstrap draws for the confidence interval, 0 for none', { default: 10 }),
  seed: integer('seed of the bootstrap and of the subsets of KID', { default: 0 }),
  allowLossy: toggle('accept JPEG samples, whose artefacts change the score', { default: false }),
  resume: text('keep unfinished work there, and resume it', 'folder'),
  json: text('where the report is saved', {
    placeholder: 'file',
    defaultText: '<samples>.fid.json in this folder, none with --pairs',
  }),
};

export type EvaluateValues = Values<typeof evaluateOptions>;

/** @throws UsageError when an option would do nothing */
export function resolveEvaluate(flags: Overrides<typeof evaluateOptions>): EvaluateValues {
  const [unused] = Object.keys(omit(flags, 'pairs', 'json', 'backend', 'device'));
  if (flags.pairs && unused !== undefined) throw new UsageError(`--${flagName(unused)} does nothing beside --pairs`);
  return resolve(evaluateOptions, flags);
}
