import { extractionOptions, type Overrides, resolve, type Values } from '@tb/command-line';

export const statisticsOptions = extractionOptions;

export type StatisticsValues = Values<typeof statisticsOptions>;

export const resolveStatistics = (flags: Overrides<typeof statisticsOptions>): StatisticsValues =>
  resolve(statisticsOptions, flags);
