import { tableCommand } from '@tb/command-line';
import { evalOptions, resolveEval } from './options.js';

export const evalCommand = tableCommand('eval', evalOptions, async (flags) => {
  const values = resolveEval(flags);
  const { evaluateModel } = await import('./run.js');
  await evaluateModel(values);
})
  .description("Measure a model's images against real ones, on features of your data or of Inception-v3")
  .addHelpText(
    'after',
    `
With --features, the feature network also judges, as a classifier, whether images
show the requested class. Its judgement of held-out real images is printed next
to it. All images are kept in memory: for 50,000 of them, use tb-sample generate
and tb-sample evaluate.

Example:
  tb-train eval --data photos --crops --model runs/model --vae runs/vae \\
    --features runs/features/features.safetensors`,
  );
