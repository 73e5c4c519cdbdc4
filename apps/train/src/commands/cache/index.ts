import { tableCommand } from '@tb/command-line';
import { cacheOptions, resolveCache } from './options.js';

export const cacheCommand = tableCommand('cache', cacheOptions, async (flags) => {
  const values = await resolveCache(flags);
  const { makeCache } = await import('./run.js');
  await makeCache(values);
})
  .description('Encode every image and its mirror image once, and store the latents')
  .addHelpText(
    'after',
    `
Training from a cache decodes no images and runs no autoencoder. An image of
256 x 256 takes 16 KB, twice that with its mirror image. With --validation, or
--crops and --held-out, the cache also holds images to validate on. Run the same
command again to resume an interrupted cache.

A cache of --crops holds the crops of one epoch, which training sees again in
every epoch: multiply --crops-per-photograph by the epochs that you plan.

Several processes share the files of the cache: start the same command in each, on
hosts that share the folder --out, as docs/distributed.md shows. Process 0 waits
for the others. With few images for each process, use a smaller
--samples-per-shard.

Examples:
  tb-train cache --data images --image-size 256 --vae kl16.ckpt --out runs/cache
  tb-train model --cache runs/cache --preset large --steps 100000`,
  );
