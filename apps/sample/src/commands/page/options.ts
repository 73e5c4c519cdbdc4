import { type Overrides, resolve, text, type Values } from '@tb/command-line';
import { generateOptions, weightSetOf } from '../generate/options.js';

const { model, modelConfig, vae, anyVae, latentScale, ema, raw, classNames } = generateOptions;

export const pageOptions = {
  model,
  modelConfig,
  vae,
  anyVae,
  latentScale,
  ema,
  raw,
  classNames,
  out: text('folder of the site; a site that is there already is replaced', { placeholder: 'folder', default: 'page' }),
};

export type PageValues = Omit<Values<typeof pageOptions>, 'ema' | 'raw'> & {
  /** Which of two sets of weights, where one was chosen. */
  set?: 'ema' | 'raw';
};

/** @throws UsageError when options exclude each other */
export function resolvePage(flags: Overrides<typeof pageOptions>): PageValues {
  const { ema, raw, ...values } = resolve(pageOptions, flags);
  return { ...values, set: weightSetOf({ ema, raw }) };
}
