import {
  distanceOptions,
  extractionOptions,
  flagName,
  type Overrides,
  omit,
  resolve,
  text,
  toggle,
  UsageError,
  type Values,
} from '@tb/command-line';

export const evaluateOptions = {
  pairs: toggle('compare images of the same name one by one (PSNR, SSIM), rather than the two sets (FID)', {
    default: false,
  }),
  ...extractionOptions,
  ...distanceOptions,
  json: text('file for the report', {
    placeholder: 'file',
    defaultText: '<samples>.fid.json in this folder, none with --pairs',
  }),
};

export type EvaluateValues = Values<typeof evaluateOptions>;

/** @throws UsageError when an option would do nothing */
export function resolveEvaluate(flags: Overrides<typeof evaluateOptions>): EvaluateValues {
  const [unused] = Object.keys(omit(flags, 'pairs', 'json', 'backend', 'device', 'maxPixels'));
  if (flags.pairs && unused !== undefined) throw new UsageError(`--${flagName(unused)} does nothing with --pairs`);
  return resolve(evaluateOptions, flags);
}
