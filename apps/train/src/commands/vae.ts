import { tableCommand } from '@tb/command-line';
import { vaeDefaults } from '../options/defaults.js';
import { vaeOptions } from '../options/tables.js';

export const vaeCommand = tableCommand('vae', vaeOptions, vaeDefaults, async (flags) => {
  const { trainVae } = await import('../runs/train-vae.js');
  await trainVae(flags);
})
  .description('Train the autoencoder that turns pictures into latents')
  .addHelpText(
    'after',
    `
Example:
  tb-train vae --data photos --crops --image-size 64 --steps 2000 --out runs/vae

The run folder gets checkpoints, log.jsonl, TensorBoard events, report.html, and at the end vae.safetensors: the averaged
weights, scaled so that every latent channel has unit variance (what the quantizer expects).`,
  );
