import { tableCommand } from '@tb/command-line';
import { cacheDefaults } from '../options/defaults.js';
import { cacheOptions } from '../options/tables.js';

export const cacheCommand = tableCommand('cache', cacheOptions, cacheDefaults, async (flags) => {
  const { makeCache } = await import('../runs/make-cache.js');
  await makeCache(flags);
})
  .description('Store what the autoencoder says about every picture and its mirror image')
  .addHelpText(
    'after',
    `
Example:
  tb-train cache --data images --image-size 256 --vae kl16.ckpt --out runs/cache
  tb-train model --cache runs/cache --preset large --steps 100000
  tb-train cache --data photos --crops --crops-per-photograph 20000 --image-size 64 --vae vae.safetensors --out runs/crops

Training from a cache needs no decoding and no autoencoder. 16 KB a picture at 256 x 256, twice that with its mirror image.
With --validation, or --crops and --held-out, it also holds pictures to validate on.

A cache of --crops holds the crops of one epoch, and training shows these again and again: give --crops-per-photograph as many
as it shall see. Interrupted, the same command goes on where it stopped.`,
  );
