import { runProgram } from '@tb/command-line';
import { Command } from 'commander';
import { cacheCommand } from './commands/cache.js';
import { demoCommand } from './commands/demo.js';
import { doctorCommand } from './commands/doctor.js';
import { evalCommand } from './commands/eval.js';
import { featuresCommand } from './commands/features.js';
import { linkTensorflowCommand } from './commands/link-tensorflow.js';
import { modelCommand } from './commands/model.js';
import { vaeCommand } from './commands/vae.js';

const program = new Command('tb-train')
  .description('Train TokenBridge: autoregressive image generation on quantized latents.')
  .showHelpAfterError('(tb-train <command> --help lists the options)')
  .addCommand(vaeCommand)
  .addCommand(cacheCommand)
  .addCommand(modelCommand)
  .addCommand(featuresCommand)
  .addCommand(evalCommand)
  .addCommand(demoCommand)
  .addCommand(doctorCommand)
  .addCommand(linkTensorflowCommand);

await runProgram(program);
