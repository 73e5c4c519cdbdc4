import { basename } from 'node:path';
import { assertExists, prepareFile, UsageError } from '@tb/command-line';
import { startEngine } from '@tb/command-line/compute';
import { encodePng, type FittedImage, fitToSquare, imageGrid, type Pixels, zoomTo } from '@tb/images';
import { writeFileAtomic } from '@tb/io';
import { loadVaeFile } from '@tb/trainer';
import { createAutoencoder, downsamplingFactor } from '@tb/vae';
import type { ReconstructValues } from '../commands/reconstruct.js';
import { type Comparison, compareVariants, listVariants } from '../reconstruction/compare.js';
import { readImage } from '../reconstruction/pairs.js';
import { fixed, percent, textTable } from '../text-table.js';
import { demoWeights } from '../weights/demo-weights.js';

/** `tb-sample reconstruct`, with every option filled in that has a default. */
export async function reconstruct(paths: readonly string[], values: ReconstructValues): Promise<void> {
  for (const path of paths) assertExists('picture', path);
  await prepareFile('--grid', values.grid, '.png');
  const pictures = await Promise.all(paths.map(readImage));
  await startEngine(values);
  const { params, config, imageSize } = await loadVaeFile(values.vae ?? demoWeights('vae.safetensors'));
  const size = values.imageSize ?? imageSize ?? config.resolution;
  const factor = downsamplingFactor(config);
  if (size % factor !== 0)
    throw new UsageError(`--image-size must be a multiple of ${factor}, by which the autoencoder shrinks, got ${size}`);

  const autoencoder = createAutoencoder(config, size);
  const variants = listVariants(values.ranges, values.levels);
  const results: { fitted: FittedImage; comparisons: Comparison[] }[] = [];
  for (const picture of pictures) {
    const fitted = await fitToSquare(picture, size, values.fit);
    results.push({ fitted, comparisons: await compareVariants(fitted, variants, autoencoder, params, config) });
  }
  const names = paths.map((each) => basename(each));
  console.log(
    resultTable(
      names,
      results.map(({ comparisons }) => comparisons),
    ),
  );
  await writeFileAtomic(values.grid, await encodePng(drawGrid(names, results, values)));
  console.log(`side by side: ${values.grid}`);
}

function resultTable(names: readonly string[], results: readonly Comparison[][]): string {
  const header = ['picture', 'range', 'B', 'PSNR dB', 'SSIM', 'outside'];
  const rows = results.flatMap((comparisons, place) => comparisons.map((each) => tableRow(names[place], each)));
  if (results.length === 1) return textTable(header, rows);
  const means = results[0].map((each, variant) => {
    const mean = (figure: 'psnr' | 'ssim' | 'outOfRange') =>
      results.reduce((sum, comparisons) => sum + comparisons[variant][figure], 0) / results.length;
    return tableRow('mean', { ...each, psnr: mean('psnr'), ssim: mean('ssim'), outOfRange: mean('outOfRange') });
  });
  return textTable(header, [...rows, ...means]);
}

function tableRow(name: string, { range, levels, psnr, ssim, outOfRange }: Comparison): string[] {
  const kind = range === undefined ? ['-', 'continuous'] : [`[-${range}, ${range}]`, String(levels)];
  return [name, ...kind, fixed(psnr, 2), fixed(ssim, 4), percent(outOfRange)];
}

const shownWidth = 144;

/** A row per picture and range: original, autoencoder alone, then the levels. */
function drawGrid(
  names: readonly string[],
  results: readonly { fitted: FittedImage; comparisons: Comparison[] }[],
  { ranges, levels }: ReconstructValues,
): Pixels {
  const cells = results.flatMap(({ fitted, comparisons }, place) =>
    ranges.flatMap((range) => {
      const [continuous, ...quantized] = comparisons;
      const ofRange = quantized.filter((each) => each.range === range);
      return [{ picture: fitted.image, caption: names[place] }, ...[continuous, ...ofRange].map(captioned)];
    }),
  );
  return imageGrid(
    cells.map(({ picture }) => picture),
    {
      columns: levels.length + 2,
      captions: cells.map(({ caption }) => caption),
      zoom: zoomTo(results[0].fitted.image, shownWidth),
    },
  );
}

function captioned({ picture, range, levels, psnr, ssim }: Comparison): { picture: Pixels; caption: string } {
  const kind = range === undefined ? 'vae' : `B=${levels} r=${range}`;
  return { picture, caption: `${kind} ${psnr.toFixed(1)} ${fixed(ssim, 3)}` };
}
