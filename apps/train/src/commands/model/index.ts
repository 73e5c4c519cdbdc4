import { tableCommand } from '@tb/command-line';
import { modelOptions, resolveModel } from './options.js';

export const modelCommand = tableCommand('model', modelOptions, async (flags) => {
  const { values, requestedSize, group } = await resolveModel(flags);
  const { trainModel } = await import('./run.js');
  await trainModel(values, { requestedSize, group });
})
  .description('Train the TokenBridge model on images or on a latent cache')
  .addHelpText(
    'after',
    `
Defaults are those of --preset tiny. The presets base, large and huge use the
values of the paper's Table 4: batches of 2048 images, in micro-batches of 32, 32
and 16 for a GPU of 80 GB. With less memory, use a smaller --micro-batch or
--rematerialize.

An update is the mean over --batch images on any hardware. --processes,
--devices and --micro-batch only change which dropout masks are drawn; a run can
be resumed with other values of all.

The run folder gets checkpoints, log.jsonl, TensorBoard events, report.html, and
at the end model.safetensors (the averaged weights) for tb-sample.

Examples:
  tb-train model --data images --image-size 64 --vae runs/vae --out runs/model
  tb-train model --out runs/model --resume`,
  );
