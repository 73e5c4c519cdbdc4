/**
 * What previews cost: seconds of a batch of images with the autoencoder, with random weights, without previews and with one every
 * few steps, and seconds until the first one. Runs with and without previews alternate.
 *
 *     node --import tsx --conditions=@tb/source bench/previews.ts --every 8 --out bench/results/previews.json
 *     node --import tsx --conditions=@tb/source bench/previews.ts --backend wasm --preset tiny --every 4
 */
import { disposeTree, randomKey } from '@tb/runtime';
import { createImageGenerator, recommendedSampling } from '@tb/tokenbridge';
import { demo, initVae, kl16 } from '@tb/vae';
import { drawParameters, median, open, rounded, seconds } from './large-model.js';
import { describe, report } from './results.js';

const { values, config, precision } = await open({
  batch: { type: 'string', default: '1' },
  every: { type: 'string', default: '8' },
  repeats: { type: 'string', default: '5' },
});
const [batch, every, repeats] = [values.batch, values.every, values.repeats].map(Number);
const vaeConfig = values.preset === 'tiny' ? demo : kl16;
const model = { params: drawParameters(1, config), config };
const vae = { params: initVae(randomKey(2), vaeConfig), config: vaeConfig };
const generator = createImageGenerator({ model, vae, batchSize: batch, precision });

/** Seconds of a batch and until its first preview. */
async function measure(withPreviews: boolean) {
  const start = performance.now();
  let first = Number.NaN;
  const show = () => {
    if (Number.isNaN(first)) first = seconds(start);
  };
  const request = { labels: Array(batch).fill(0), seeds: Array.from({ length: batch }, (_, image) => image) };
  for await (const _ of generator.generate({ ...request, ...(withPreviews && { preview: { every, show } }) }));
  return { all: seconds(start), first };
}

await measure(true); // programs are compiled, memory is taken
const runs = [];
for (let repeat = 0; repeat < repeats; repeat++)
  runs.push({ plain: await measure(false), previewed: await measure(true) });
const plain = median(runs.map((run) => run.plain.all));
const previewed = median(runs.map((run) => run.previewed.all));
report(
  describe({
    preset: values.preset,
    precision,
    steps: recommendedSampling(config).steps,
    batch,
    every,
    seconds: rounded(plain),
    secondsWithPreviews: rounded(previewed),
    costPercent: rounded(100 * (previewed / plain - 1)),
    firstPreviewSeconds: rounded(median(runs.map((run) => run.previewed.first))),
  }),
  values.out,
);
generator.dispose();
disposeTree([model.params, vae.params]);
process.exit(0);
