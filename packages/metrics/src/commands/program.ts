import { Command } from 'commander';
import { version } from '../version.js';
import { fidCommand } from './fid/index.js';
import { statisticsCommand } from './statistics/index.js';

export const program = new Command('tb-metrics')
  .description('FID, sFID, KID, Inception Score, precision and recall, with their provenance.')
  .version(version)
  .addHelpText(
    'after',
    `
Examples:
  npx @tb/metrics fid samples/ adm_in256_stats.npz
  npx @tb/metrics statistics photographs/ photographs.safetensors`,
  )
  .addCommand(fidCommand)
  .addCommand(statisticsCommand);
