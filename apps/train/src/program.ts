import { Command } from 'commander';
import { cacheCommand } from './commands/cache/index.js';
import { demoCommand } from './commands/demo/index.js';
import { doctorCommand } from './commands/doctor/index.js';
import { evalCommand } from './commands/eval/index.js';
import { featuresCommand } from './commands/features/index.js';
import { launchCommand } from './commands/launch/index.js';
import { linkTensorflowCommand } from './commands/link-tensorflow/index.js';
import { modelCommand } from './commands/model/index.js';
import { vaeCommand } from './commands/vae/index.js';
import { version } from './package.js';

export const program = new Command('tb-train')
  .description('Train TokenBridge: autoregressive image generation on quantized latents.')
  .version(version)
  .addHelpText(
    'after',
    `
Example, with one folder of images per class in my-images:
  tb-train vae --data my-images --image-size 64 --out runs/vae
  tb-train model --data my-images --image-size 64 --vae runs/vae --out runs/model`,
  )
  .addCommand(vaeCommand)
  .addCommand(cacheCommand)
  .addCommand(modelCommand)
  .addCommand(featuresCommand)
  .addCommand(evalCommand)
  .addCommand(launchCommand)
  .addCommand(demoCommand)
  .addCommand(doctorCommand)
  .addCommand(linkTensorflowCommand);
