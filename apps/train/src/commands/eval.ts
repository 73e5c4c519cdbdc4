import { tableCommand } from '@tb/command-line';
import { evalDefaults } from '../options/defaults.js';
import { evalOptions } from '../options/tables.js';

export const evalCommand = tableCommand('eval', evalOptions, evalDefaults, async (flags) => {
  const { evaluateModel } = await import('../runs/evaluate-model.js');
  await evaluateModel(flags);
})
  .description("Measure a model's pictures against real ones, on features of one's own or of Inception-v3")
  .addHelpText(
    'after',
    `
Example:
  tb-train eval --data photos --crops --model model.safetensors --vae vae.safetensors --features features.safetensors

With --features the network that made them also judges, as a classifier, whether pictures show the class that was asked for;
its judgement of held-out real pictures stands beside it. All pictures are held in memory: for 50,000 of them use
tb-sample generate and tb-sample evaluate.`,
  );
