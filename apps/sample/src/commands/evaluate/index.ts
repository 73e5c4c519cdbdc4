import { tableCommand } from '@tb/command-line';
import { evaluateOptions, resolveEvaluate } from './options.js';

export const evaluateCommand = tableCommand('evaluate', evaluateOptions, async (flags, [samples, reference]) => {
  const values = resolveEvaluate(flags);
  const { evaluate } = await import('./run.js');
  await evaluate(samples, reference, values);
})
  .argument('<samples>', 'folder of images, or .npz with arr_0')
  .argument('<reference>', 'folder of images, .npz of images or statistics, or a file of tb-metrics statistics')
  .description(
    'Measure a set of images by FID, sFID, KID, Inception Score, precision and recall, or pairs by PSNR and SSIM',
  )
  .addHelpText(
    'after',
    `
Examples:
  tb-sample evaluate samples.npz VIRTUAL_imagenet256_labeled.npz \\
      --backend xla --json fid.json
  tb-sample evaluate samples photographs --allow-lossy
  tb-sample evaluate reconstructions originals --pairs`,
  );
