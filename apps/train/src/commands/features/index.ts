import { tableCommand } from '@tb/command-line';
import { featuresOptions, resolveFeatures } from './options.js';

export const featuresCommand = tableCommand('features', featuresOptions, async (flags) => {
  const { values, group } = await resolveFeatures(flags);
  const { trainFeatures } = await import('./run.js');
  await trainFeatures(values, group);
})
  .description('Train a small classifier whose features measure images where Inception-v3 is not available')
  .addHelpText(
    'after',
    `
The run folder gets features.safetensors, which tb-train eval measures with.
Distances on these features are not FIDs: they only compare models on the same
data with the same file.

Example:
  tb-train features --data photos --crops --image-size 64 --out runs/features`,
  );
