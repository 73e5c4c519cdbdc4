import { tableCommand } from '@tb/command-line';
import { generateOptions, resolveGenerate } from './options.js';

export const generateCommand = tableCommand('generate', generateOptions, async (flags) => {
  const values = resolveGenerate(flags);
  const { generateImages } = await import('./run.js');
  await generateImages(values);
})
  .description('Generate images of classes')
  .addHelpText(
    'after',
    `
Without --vae, the autoencoder is the one that the model's run names, or one
next to the model, or in ../vae. Without --model, the weights of the demo are
used where they are found: in a checkout of the repository, or if @tb/train is
installed next to @tb/sample.

With --out, run the same command again to resume an interrupted one. Each PNG
states its settings, seed, class and the SHA-256 of the weights in a text chunk;
tb-sample inspect image.png shows them.

Several processes share the images: start the same command in each, on hosts that
share the folder --out, as docs/distributed.md shows. Process 0 waits for the
others and writes --grid and --npz.

Examples:
  tb-sample generate --model runs/model --vae runs/vae
      one image of every class, in samples.png
  tb-sample generate --model runs/model --classes cat,dog --count 8 --cfg 3 \\
      --seed 7 --grid pets.png
  tb-sample generate --model tokenbridge_l.pth --vae kl16.ckpt --count 50 \\
      --batch 64 --out samples --npz samples.npz
      the 50,000 images of an evaluation`,
  );
