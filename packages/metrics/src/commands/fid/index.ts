import { tableCommand } from '@tb/command-line';
import { fidOptions, resolveFid } from './options.js';

export const fidCommand = tableCommand('fid', fidOptions, async (flags, [samples, reference]) => {
  const values = resolveFid(flags);
  const { measureDistance } = await import('./run.js');
  await measureDistance(samples, reference, values);
})
  .argument('<samples>', 'folder of images, or ADM .npz with arr_0')
  .argument('<reference>', 'folder of images, ADM .npz (images, or mu and sigma), or a file made by `statistics`')
  .description('Compare samples with a reference by FID and all other scores')
  .addHelpText(
    'after',
    `
Precision, recall and KID need the images of the reference; statistics alone
give FID and sFID. Ctrl-C with --resume saves what was gathered; the same
command resumes.

Examples:
  npx @tb/metrics fid samples/ adm_in256_stats.npz --backend xla \\
      --resume work/ --json fid.json
  npx @tb/metrics fid reconstructions/ originals/
      the rFID of an autoencoder`,
  );
