import { tableCommand } from '@tb/command-line';
import { pageOptions, resolvePage } from './options.js';

export const pageCommand = tableCommand('page', pageOptions, async (flags) => {
  const values = resolvePage(flags);
  const { writeSite } = await import('./run.js');
  await writeSite(values);
})
  .description('Write the page as a static site that computes in the browser')
  .addHelpText(
    'after',
    `
Any static host can serve the folder, under any path. The page asks for the weights
when the first image is generated, and works offline afterwards. Browsers allow
that only for https addresses and for those of this machine.

Examples:
  tb-sample page --out site
      the weights of the demo
  tb-sample page --model runs/model --out site`,
  );
