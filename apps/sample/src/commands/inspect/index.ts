import { tableCommand } from '@tb/command-line';
import { inspectOptions, resolveInspect } from './options.js';

export const inspectCommand = tableCommand('inspect', inspectOptions, async (flags, [path]) => {
  const values = resolveInspect(flags);
  const { inspect } = await import('./run.js');
  await inspect(path, values);
})
  .argument(
    '<path>',
    'weights (.safetensors, .pth, .ckpt), run or checkpoint of tb-train, latent cache, code file, .npy, .npz, image of tb-sample',
  )
  .description('Show what a file or folder holds, and how well the quantizer fits a latent cache')
  .addHelpText(
    'after',
    `
Examples:
  tb-sample inspect runs/model/model.safetensors --no-tensors
  tb-sample inspect tokenbridge_l.pth
  tb-sample inspect runs/cache --levels 16 --range 3
  tb-sample inspect samples/class-0207-000000.png
  tb-sample inspect runs/model --json | jq .facts`,
  );
