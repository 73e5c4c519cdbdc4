import {
  choice,
  engineOptions,
  flagName,
  integer,
  type Resolved,
  tableCommand,
  text,
  toggle,
  UsageError,
  type ValuesOf,
  withDefaults,
} from '@tb/command-line';

const evaluateOptions = {
  backend: engineOptions.backend,
  device: engineOptions.device,
  pairs: toggle('compare pictures of the same name one by one (PSNR, SSIM) rather than the sets (FID)'),
  weights: text('of Inception-v3 (.pth, .safetensors); default: the caches of @tb/metrics and PyTorch', 'file'),
  allowOtherWeights: toggle('accept weights whose SHA-256 is not the published one; the distance is then no FID'),
  preprocessing: choice('resize and normalization of which evaluator', ['tensorflow', 'pytorch-fid']),
  batch: integer('pictures per forward pass', { min: 1 }),
  keep: integer('pictures whose features are kept for precision, recall, KID and the interval', { min: 2 }),
  resamples: integer('bootstrap draws for the confidence interval, 0 for none'),
  seed: integer('of the bootstrap and of the subsets of KID'),
  allowLossy: toggle('accept JPEG samples, whose artefacts change the score'),
  resume: text('keep unfinished work there, and go on from it', 'folder'),
  json: text('where the report is saved; default: <samples>.fid.json in this folder, none with --pairs', 'file'),
};

const evaluateDefaults = {
  backend: 'auto',
  pairs: false,
  allowOtherWeights: false,
  preprocessing: 'tensorflow',
  batch: 32,
  keep: 10_000,
  resamples: 10,
  seed: 0,
  allowLossy: false,
} as const satisfies ValuesOf<typeof evaluateOptions>;

export type EvaluateValues = Resolved<ValuesOf<typeof evaluateOptions>, typeof evaluateDefaults>;

export const evaluateCommand = tableCommand(
  'evaluate',
  evaluateOptions,
  evaluateDefaults,
  async (flags, [samples, reference]) => {
    const { pairs, json: _json, backend: _backend, device: _device, ...ofSets } = flags;
    const [unused] = Object.keys(ofSets);
    if (pairs && unused !== undefined) throw new UsageError(`--${flagName(unused)} does nothing beside --pairs`);
    const { evaluate } = await import('../runs/evaluate.js');
    await evaluate(samples, reference, withDefaults(evaluateDefaults, flags));
  },
)
  .argument('<samples>', 'folder of pictures, or .npz with arr_0')
  .argument('<reference>', 'folder of pictures, .npz of pictures or statistics, or a file of tb-metrics statistics')
  .description('Measure pictures: FID, sFID, KID, Inception Score, precision and recall; or PSNR and SSIM')
  .addHelpText(
    'after',
    `
Examples:
  tb-sample evaluate samples.npz VIRTUAL_imagenet256_labeled.npz --backend xla --json fid.json
  tb-sample evaluate samples photographs --allow-lossy
  tb-sample evaluate reconstructions originals --pairs`,
  );
