// Options of evaluations, which tb-metrics and tb-sample share.
import { backendOptions } from './backend-options.js';
import { choice, integer, omit, text, toggle } from './options.js';

/** A limit that keeps small files from exhausting the memory: `maxPixels` of @tb/images. */
export const maxPixelsOption = integer('do not read images with more pixels than this', {
  min: 1,
  defaultText: 'about 67 million',
});

/** How features are extracted from images. */
export const extractionOptions = {
  ...omit(backendOptions, 'precision'),
  weights: text('weights of Inception-v3 (.pth, .safetensors)', {
    placeholder: 'file',
    defaultText: 'the caches of @tb/metrics and PyTorch',
  }),
  allowOtherWeights: toggle('accept weights other than the published ones; the distance is then not an FID', {
    default: false,
  }),
  preprocessing: choice('evaluator whose resize and normalization are used', ['tensorflow', 'pytorch-fid'], {
    default: 'tensorflow',
  }),
  batch: integer('images per forward pass', { min: 1, default: 32 }),
  keep: integer('images whose features are kept for precision, recall, KID and the interval', {
    min: 2,
    default: 10_000,
  }),
  maxPixels: maxPixelsOption,
  resume: text('keep unfinished work there, and resume it', 'folder'),
};

/** How samples are compared with a reference. */
export const distanceOptions = {
  resamples: integer('bootstrap draws for the confidence interval, 0 for none', { default: 10 }),
  seed: integer('seed of the bootstrap and of the subsets of KID', { default: 0 }),
  allowLossy: toggle('accept JPEG samples, whose artefacts change the score', { default: false }),
  json: text('file for the report', {
    placeholder: 'file',
    defaultText: '<samples>.fid.json in this folder',
  }),
};
