import { Command } from 'commander';
import { evaluateCommand } from './commands/evaluate.js';
import { generateCommand } from './commands/generate.js';
import { inspectCommand } from './commands/inspect.js';
import { reconstructCommand } from './commands/reconstruct.js';
import { version } from './version.js';

/** The whole command line. */
export const program = new Command('tb-sample')
  .description('Make pictures with TokenBridge, and look at what they are made of.')
  .version(version)
  .addHelpText(
    'after',
    `
Examples:
  tb-sample generate --model runs/model --vae runs/vae --grid grid.png
  tb-sample reconstruct photograph.jpg --vae runs/vae --levels 8,64 --grid comparison.png
  tb-sample inspect runs/model/model.safetensors
  tb-sample evaluate samples reference.npz`,
  )
  .addCommand(generateCommand)
  .addCommand(reconstructCommand)
  .addCommand(inspectCommand)
  .addCommand(evaluateCommand);
