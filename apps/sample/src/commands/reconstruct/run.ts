import { basename } from 'node:path';
import { assertExists, fixed, percent, prepareFile, textTable, UsageError } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { decodeImage, encodePng, type FittedImage, fitToSquare, imageGrid, type Pixels, zoomTo } from '@tb/images';
import { writeFileAtomic } from '@tb/io';
import { findVae, loadVaeFile, prefixLine, withLatentScale } from '@tb/trainer';
import { createAutoencoder, downsamplingFactor } from '@tb/vae';
import { demoWeights } from '../../options.js';
import { type Comparison, compareVariants, listVariants } from './compare.js';
import type { ReconstructValues } from './options.js';

/** `tb-sample reconstruct`. */
export async function reconstruct(paths: readonly string[], values: ReconstructValues): Promise<void> {
  for (const path of paths) assertExists('image', path);
  const file = findVae(values.vae ?? demoWeights('vae'));
  await prepareFile('--grid', values.grid, '.png');
  const images = await Promise.all(paths.map((path) => decodeImage(path, values)));
  await startBackend(values);
  const loaded = await loadVaeFile(file);
  const { imageSize } = loaded;
  console.error(`autoencoder ${file}`);
  const note = prefixLine(loaded);
  if (note !== undefined) console.error(note);
  const size = values.imageSize ?? imageSize ?? loaded.config.resolution;
  const factor = downsamplingFactor(loaded.config);
  if (size % factor !== 0)
    throw new UsageError(`--image-size must be a multiple of ${factor}, by which the autoencoder shrinks, got ${size}`);

  const squares = await Promise.all(images.map((image) => fitToSquare(image, size, values.fit)));
  const scale = { scale: values.latentScale, size, images: async () => squares.map(({ image }) => image.data) };
  const scaled = await withLatentScale(loaded, scale);
  if (scaled.line !== undefined) console.error(scaled.line);

  const { params, config } = scaled.vae;
  const autoencoder = createAutoencoder(config, size);
  const variants = listVariants(values.ranges, values.levels);
  const results: { fitted: FittedImage; comparisons: Comparison[] }[] = [];
  for (const fitted of squares) {
    results.push({ fitted, comparisons: await compareVariants(fitted, variants, autoencoder, params, config) });
  }
  const names = paths.map((path) => basename(path));
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
  const header = ['image', 'range', 'B', 'PSNR dB', 'SSIM', 'outside'];
  const rows = results.flatMap((comparisons, place) =>
    comparisons.map((comparison) => tableRow(names[place], comparison)),
  );
  if (results.length === 1) return textTable(header, rows);
  const means = results[0].map((comparison, variant) => {
    const mean = (figure: 'psnr' | 'ssim' | 'outOfRange') =>
      results.reduce((sum, comparisons) => sum + comparisons[variant][figure], 0) / results.length;
    return tableRow('mean', { ...comparison, psnr: mean('psnr'), ssim: mean('ssim'), outOfRange: mean('outOfRange') });
  });
  return textTable(header, [...rows, ...means]);
}

function tableRow(name: string, { range, levels, psnr, ssim, outOfRange }: Comparison): string[] {
  const kind = range === undefined ? ['-', 'continuous'] : [`[-${range}, ${range}]`, String(levels)];
  return [name, ...kind, fixed(psnr, 2), fixed(ssim, 4), percent(outOfRange)];
}

const shownWidth = 144;

/** A row per image and range: original, autoencoder alone, then the levels. */
function drawGrid(
  names: readonly string[],
  results: readonly { fitted: FittedImage; comparisons: Comparison[] }[],
  { ranges, levels }: ReconstructValues,
): Pixels {
  const cells = results.flatMap(({ fitted, comparisons }, place) =>
    ranges.flatMap((range) => {
      const [continuous, ...quantized] = comparisons;
      const ofRange = quantized.filter((comparison) => comparison.range === range);
      return [{ image: fitted.image, caption: names[place] }, ...[continuous, ...ofRange].map(captioned)];
    }),
  );
  return imageGrid(
    cells.map(({ image }) => image),
    {
      columns: levels.length + 2,
      captions: cells.map(({ caption }) => caption),
      zoom: zoomTo(results[0].fitted.image, shownWidth),
    },
  );
}

function captioned({ image, range, levels, psnr, ssim }: Comparison): { image: Pixels; caption: string } {
  const kind = range === undefined ? 'vae' : `B=${levels} r=${range}`;
  return { image, caption: `${kind} ${psnr.toFixed(1)} ${fixed(ssim, 3)}` };
}
