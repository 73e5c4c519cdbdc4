import { mergeValues, prepareFolder, UsageError } from '@tb/command-line';
import { type LoadedVae, loadVaeFile, startEngine } from '@tb/command-line/compute';
import {
  type CacheSample,
  createDecodePool,
  createMomentsEncoder,
  type DecodePool,
  formatDuration,
  type ImageSource,
  writeLatentCache,
} from '@tb/trainer';
import { downsamplingFactor } from '@tb/vae';
import { openData } from '../data/open-data.js';
import { cacheDefaults } from '../options/defaults.js';
import { readConfig } from '../options/read-config.js';
import { type CacheValues, cacheOptions } from '../options/tables.js';

/** `tb-train cache` with the flags that were given. */
export async function makeCache(flags: CacheValues): Promise<void> {
  const file = flags.config === undefined ? {} : await readConfig(cacheOptions, flags.config, 'cache');
  const values = mergeValues<typeof cacheOptions>(cacheDefaults, file, flags);
  const { out = 'runs/cache', batch = 32, samplesPerShard = 4096, threads = 1 } = values;
  await prepareFolder('--out', out);
  const { training: source } = await openData(values);
  await startEngine(values);
  const vae = await loadVaeFile(values.vae, values.vaePreset);
  const side = source.size / downsamplingFactor(vae.config);
  const info = {
    classNames: [...source.classNames],
    imageSize: source.size,
    latentShape: [side, side, vae.config.latentChannels] as [number, number, number],
    latentScale: vae.config.latentScale,
    vaeSha256: vae.sha256,
  };
  const pool = createDecodePool(threads);
  try {
    const samples = encodeAll(source, vae, pool, batch, values.badLimit ?? 0.05);
    const count = await writeLatentCache(out, info, samples, samplesPerShard);
    console.error(`\n${count} pictures and their mirror images in ${out}`);
  } finally {
    await pool.close();
  }
}

/** Every readable picture in order, encoded in batches of it and its mirror image. */
async function* encodeAll(
  source: ImageSource,
  vae: LoadedVae,
  pool: DecodePool,
  batch: number,
  badLimit: number,
): AsyncGenerator<CacheSample> {
  const encodeMoments = createMomentsEncoder(vae.config, source.size);
  const started = Date.now();
  const most = Math.max(3, Math.floor(badLimit * source.length));
  let bad = 0;
  let next = readPairs(source, pool, 0, batch);
  for (let start = 0; start < source.length; start += batch) {
    const pairs = await next;
    next = readPairs(source, pool, start + batch, batch); // decodes while the autoencoder computes
    const good = pairs.filter((pair) => 'pixels' in pair);
    for (const pair of pairs) {
      if ('pixels' in pair) continue;
      console.error(`\nskipped unreadable image ${++bad}: ${pair.path}: ${pair.reason}`);
      if (bad > most) throw new UsageError(`too many unreadable images (${bad} of ${source.length})`);
    }
    if (good.length > 0) yield* await encodePairs(good, vae, encodeMoments);
    const done = Math.min(start + batch, source.length);
    const seconds = (Date.now() - started) / 1000;
    const left = formatDuration((seconds / done) * (source.length - done));
    process.stderr.write(
      `\r${done}/${source.length} pictures  ${(done / seconds).toFixed(1)} images/s  ${left} left   `,
    );
  }
}

type Pair = { pixels: Uint8Array[]; label: number } | { path: string; reason: string };

async function readPairs(source: ImageSource, pool: DecodePool, start: number, count: number): Promise<Pair[]> {
  const indices = Array.from({ length: Math.max(0, Math.min(count, source.length - start)) }, (_, i) => start + i);
  return Promise.all(
    indices.map(async (index): Promise<Pair> => {
      const request = source.requestOf(index, 0);
      try {
        const both = [false, true].map((mirror) => pool.read({ ...request, mirror }));
        return { pixels: await Promise.all(both), label: source.labelOf(index) };
      } catch (error) {
        return { path: request.path, reason: (error as Error).message };
      }
    }),
  );
}

async function encodePairs(
  pairs: readonly { pixels: Uint8Array[]; label: number }[],
  vae: LoadedVae,
  encodeMoments: ReturnType<typeof createMomentsEncoder>,
): Promise<CacheSample[]> {
  const pictures = pairs.flatMap(({ pixels }) => pixels);
  const length = pictures[0].length;
  const bytes = new Uint8Array(pictures.length * length);
  for (const [row, pixels] of pictures.entries()) bytes.set(pixels, row * length);
  const moments = await encodeMoments(vae.params, bytes);
  const each = moments.length / pairs.length;
  return pairs.map(({ label }, row) => ({ label, moments: moments.slice(row * each, (row + 1) * each) }));
}
