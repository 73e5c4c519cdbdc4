import { tableCommand } from '@tb/command-line';
import { modelPresets } from '../options/defaults.js';
import { modelOptions } from '../options/tables.js';

export const modelCommand = tableCommand('model', modelOptions, modelPresets.tiny, async (flags) => {
  const { trainModel } = await import('../runs/train-model.js');
  await trainModel(flags);
})
  .description('Train the TokenBridge model on pictures or on a latent cache')
  .addHelpText(
    'after',
    `
The defaults above are those of --preset tiny; base, large and huge have those of the paper's Table 4.

Examples:
  tb-train model --data photos --crops --image-size 64 --vae runs/vae --out runs/model
  tb-train model --cache runs/cache --preset large --out runs/large --backend xla
  tb-train model --out runs/model --resume

The run folder gets checkpoints, log.jsonl, TensorBoard events, report.html, and at the end model.safetensors (the averaged
weights) for tb-sample.`,
  );
