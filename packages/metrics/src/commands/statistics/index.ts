import { tableCommand } from '@tb/command-line';
import { resolveStatistics, statisticsOptions } from './options.js';

export const statisticsCommand = tableCommand('statistics', statisticsOptions, async (flags, [images, target]) => {
  const values = resolveStatistics(flags);
  const { gatherStatistics } = await import('./run.js');
  await gatherStatistics(images, target, values);
})
  .argument('<images>', 'folder of images, or ADM .npz with arr_0')
  .argument('<target>', 'file to write, .safetensors')
  .description('Gather the statistics of a folder or .npz once, as a reference for many runs')
  .addHelpText('after', '\nExample:\n  npx @tb/metrics statistics photographs/ photographs.safetensors');
