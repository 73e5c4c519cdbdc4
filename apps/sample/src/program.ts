import { Command } from 'commander';
import { evaluateCommand } from './commands/evaluate/index.js';
import { generateCommand } from './commands/generate/index.js';
import { inspectCommand } from './commands/inspect/index.js';
import { pageCommand } from './commands/page/index.js';
import { reconstructCommand } from './commands/reconstruct/index.js';
import { serveCommand } from './commands/serve/index.js';
import { version } from './version.js';

export const program = new Command('tb-sample')
  .description('Generate images with TokenBridge, inspect its files, and measure images.')
  .version(version)
  .addHelpText(
    'after',
    `
Examples:
  tb-sample generate --model runs/model --vae runs/vae --grid grid.png
  tb-sample reconstruct photograph.jpg --vae runs/vae --levels 8,64 --grid comparison.png
  tb-sample inspect runs/model/model.safetensors
  tb-sample evaluate samples reference.npz
  tb-sample serve --open
  tb-sample page --out site`,
  )
  .addCommand(generateCommand)
  .addCommand(reconstructCommand)
  .addCommand(inspectCommand)
  .addCommand(evaluateCommand)
  .addCommand(serveCommand)
  .addCommand(pageCommand);
