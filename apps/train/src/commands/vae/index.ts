import { tableCommand } from '@tb/command-line';
import { resolveVae, vaeOptions } from './options.js';

export const vaeCommand = tableCommand('vae', vaeOptions, async (flags) => {
  const { values, group } = await resolveVae(flags);
  const { trainVae } = await import('./run.js');
  await trainVae(values, group);
})
  .description('Train the autoencoder that turns images into latents')
  .addHelpText(
    'after',
    `
The run folder gets checkpoints, log.jsonl, TensorBoard events, report.html, and
at the end vae.safetensors: the averaged weights, scaled so that every latent
channel has unit variance, as the quantizer expects.

Examples:
  tb-train vae --data images --image-size 64 --out runs/vae
  tb-train vae --data photos --crops --image-size 64 --steps 2000 --out runs/vae`,
  );
