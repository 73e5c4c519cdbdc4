import { tableCommand } from '@tb/command-line';
import { resolveServe, serveOptions } from './options.js';

export const serveCommand = tableCommand('serve', serveOptions, async (flags) => {
  const values = resolveServe(flags);
  const { serve } = await import('./run.js');
  await serve(values);
})
  .description('Show a page that generates, edits and reconstructs images, and follows training runs')
  .addHelpText(
    'after',
    `
The model is loaded once. Without --model, the weights of the demo are used where
they are found, as by tb-sample generate. Ctrl-C stops the server.

Only this machine can open the page. With another --host, other machines can too:
the printed address then contains a token, and anyone who has it can use the page.
The connection is not encrypted; on a network that you do not trust, leave --host
as it is and use ssh -L 8790:127.0.0.1:8790, or a proxy with TLS.

Examples:
  tb-sample serve --open
      the weights of the demo
  tb-sample serve --model runs/model --runs runs
  tb-sample serve --model tokenbridge_l.pth --vae kl16.ckpt --backend xla --batch 16`,
  );
