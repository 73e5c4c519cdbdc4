import { Command } from 'commander';
import { cacheCommand } from './commands/cache.js';
import { demoCommand } from './commands/demo.js';
import { doctorCommand } from './commands/doctor.js';
import { evalCommand } from './commands/eval.js';
import { featuresCommand } from './commands/features.js';
import { linkTensorflowCommand } from './commands/link-tensorflow.js';
import { modelCommand } from './commands/model.js';
import { vaeCommand } from './commands/vae.js';
import { version } from './version.js';

/** The whole command line. */
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
  .addCommand(demoCommand)
  .addCommand(doctorCommand)
  .addCommand(linkTensorflowCommand);
