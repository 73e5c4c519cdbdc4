import { type Overrides, resolve, text, type Values } from '@tb/command-line';
import { type WithWeightSet, weightOptions, withWeightSet } from '../generate/options.js';

export const pageOptions = {
  ...weightOptions,
  out: text('folder of the site; a site that is there already is replaced', { placeholder: 'folder', default: 'page' }),
};

export type PageValues = WithWeightSet<Values<typeof pageOptions>>;

/** @throws UsageError when options exclude each other */
export const resolvePage = (flags: Overrides<typeof pageOptions>): PageValues =>
  withWeightSet(resolve(pageOptions, flags));
