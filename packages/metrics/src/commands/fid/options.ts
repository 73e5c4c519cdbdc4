import { distanceOptions, extractionOptions, type Overrides, resolve, type Values } from '@tb/command-line';

export const fidOptions = { ...extractionOptions, ...distanceOptions };

export type FidValues = Values<typeof fidOptions>;

export const resolveFid = (flags: Overrides<typeof fidOptions>): FidValues => resolve(fidOptions, flags);
