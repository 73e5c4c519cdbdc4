import {
  choice,
  engineOptions,
  integer,
  numbers,
  type Resolved,
  tableCommand,
  text,
  type ValuesOf,
  withDefaults,
} from '@tb/command-line';
import { vaeOption } from './vae-option.js';

const reconstructOptions = {
  backend: engineOptions.backend,
  device: engineOptions.device,
  vae: vaeOption,
  levels: numbers('quantization levels B to compare', { min: 2, max: 65536, whole: true }),
  ranges: numbers('quantization ranges to compare: 5 stands for [-5, 5]', { min: 0.01, max: 1e6 }),
  imageSize: integer(
    'side in pixels of the square that is reconstructed (default: what the autoencoder was trained on)',
    {
      min: 8,
      max: 4096,
    },
  ),
  fit: choice('of pictures that are not square: take the middle, or keep all on white', ['crop', 'pad']),
  grid: text('the pictures side by side', 'file.png'),
};

const reconstructDefaults = {
  backend: 'auto',
  levels: [8, 16, 32, 64],
  ranges: [5],
  fit: 'crop',
  grid: 'reconstructions.png',
} as const satisfies ValuesOf<typeof reconstructOptions>;

export type ReconstructValues = Resolved<ValuesOf<typeof reconstructOptions>, typeof reconstructDefaults>;

export const reconstructCommand = tableCommand(
  'reconstruct',
  reconstructOptions,
  reconstructDefaults,
  async (flags, images) => {
    const { reconstruct } = await import('../runs/reconstruct.js');
    await reconstruct(images, withDefaults(reconstructDefaults, flags));
  },
)
  .argument('<images...>', 'pictures: JPEG, PNG or WebP')
  .description('Send pictures through autoencoder and quantizer, and compare')
  .addHelpText(
    'after',
    `
Examples:
  tb-sample reconstruct photograph.jpg --vae runs/vae
      original, autoencoder alone, and B = 8, 16, 32, 64 side by side in reconstructions.png; PSNR and SSIM as a table
  tb-sample reconstruct *.jpg --vae kl16.ckpt --levels 16,64 --ranges 2,3,5 --grid ranges.png
      the paper's question whether a range is too narrow, on your own pictures
  tb-sample reconstruct wide.jpg --vae kl16.ckpt --image-size 512 --fit pad`,
  );
