import { tableCommand } from '@tb/command-line';
import { reconstructOptions, resolveReconstruct } from './options.js';

export const reconstructCommand = tableCommand('reconstruct', reconstructOptions, async (flags, images) => {
  const values = resolveReconstruct(flags);
  const { reconstruct } = await import('./run.js');
  await reconstruct(images, values);
})
  .argument('<images...>', 'image files')
  .description('Encode, quantize and decode images, and compare them with the originals')
  .addHelpText(
    'after',
    `
The table gives PSNR, SSIM and the share of latents outside the range. The grid
has a row per image and range: the original, the autoencoder alone, then each
number of levels.

Examples:
  tb-sample reconstruct photograph.jpg --vae runs/vae
  tb-sample reconstruct *.jpg --vae kl16.ckpt --levels 16,64 --ranges 2,3,5 \\
      --grid ranges.png
      compare ranges on your own images
  tb-sample reconstruct wide.jpg --vae kl16.ckpt --image-size 512 --fit pad`,
  );
