import { tableCommand } from '@tb/command-line';
import { featuresDefaults } from '../options/defaults.js';
import { featuresOptions } from '../options/tables.js';

export const featuresCommand = tableCommand('features', featuresOptions, featuresDefaults, async (flags) => {
  const { trainFeatures } = await import('../runs/train-features.js');
  await trainFeatures(flags);
})
  .description('Train a small classifier whose features measure pictures where Inception-v3 is out of reach')
  .addHelpText(
    'after',
    `
Example:
  tb-train features --data photos --crops --image-size 64 --out runs/features

The run folder gets features.safetensors, the yardstick of tb-train eval. Distances on these features are no FID: they compare
models on the same data with the same file, and nothing else.`,
  );
