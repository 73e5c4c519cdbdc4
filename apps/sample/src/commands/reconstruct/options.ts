import {
  backendOptions,
  choice,
  integer,
  maxPixelsOption,
  numbers,
  type Overrides,
  omit,
  positiveOr,
  resolve,
  text,
  type Values,
} from '@tb/command-line';
import { vaeOption } from '../../options.js';

export const reconstructOptions = {
  ...omit(backendOptions, 'precision'),
  vae: vaeOption,
  latentScale: {
    ...positiveOr('auto', 'factor of the latents that brings them to unit variance, auto to measure it'),
    defaultText: 'that of the autoencoder, or 0.2325 where its file does not state it',
  },
  levels: numbers('quantization levels B to compare', { min: 2, max: 65536, whole: true, default: [8, 16, 32, 64] }),
  ranges: numbers('quantization ranges to compare, 5 for [-5, 5]', { min: 0.01, max: 1e6, default: [5] }),
  imageSize: integer('side in pixels of the square that is reconstructed', {
    min: 8,
    max: 4096,
    defaultText: 'that of the images the autoencoder was trained on',
  }),
  fit: choice('how images become square, by cutting out the middle or by adding white margins', ['crop', 'pad'], {
    default: 'crop',
  }),
  maxPixels: maxPixelsOption,
  grid: text('file for the images side by side', { placeholder: 'file.png', default: 'reconstructions.png' }),
};

export type ReconstructValues = Values<typeof reconstructOptions>;

export const resolveReconstruct = (flags: Overrides<typeof reconstructOptions>): ReconstructValues =>
  resolve(reconstructOptions, flags);
