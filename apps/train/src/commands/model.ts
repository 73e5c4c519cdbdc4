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
The defaults above are those of --preset tiny; base, large and huge have those of the paper's Table 4: batches of 2048, in
micro-batches of 32, 32 and 16, meant for a GPU of 80 GB (with less memory: a smaller --micro-batch, or --rematerialize).

Examples:
  tb-train model --data photos --crops --image-size 64 --vae runs/vae --out runs/model
  tb-train model --cache runs/cache --preset large --out runs/large --backend xla --devices 8
  tb-train model --out runs/model --resume

An update is the mean over --batch pictures on any hardware: --devices GPUs share it, each in passes of at most --micro-batch
pictures whose gradients are added up. Runs can be resumed with other numbers of both; dropout alone depends on them.

The run folder gets checkpoints, log.jsonl, TensorBoard events, report.html, and at the end model.safetensors (the averaged
weights) for tb-sample.`,
  );
