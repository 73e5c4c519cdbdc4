import { fixed, percent } from '@tb/command-line';
import { type HostTensor, toFloat32 } from '@tb/io';
import {
  calibrate,
  createQuantizer,
  lowFrequencyOrder,
  lowFrequencyShares,
  type Quantizer,
  report,
} from '@tb/quantizer';
import { type LatentCache, openLatentCache } from '@tb/trainer';
import { type Inspection, withSeparators } from './listing.js';

// N = images, h, w, C = height, width and channels of a latent

export type CacheOptions = { levels: number; range: number; samples: number };

/** What a latent cache holds, and how the quantizer fits its latents. */
export async function inspectLatentCache(folder: string, options: CacheOptions): Promise<Inspection> {
  const cache = await openLatentCache(folder);
  try {
    const count = Math.min(options.samples, cache.length);
    const latents = await readMeans(cache, count);
    const quantizer = createQuantizer({ levels: options.levels, min: -options.range, max: options.range });
    const order = lowFrequencyOrder(latents, [count, ...cache.latentShape]);
    return {
      kind: 'latent cache',
      facts: {
        images: `${withSeparators(cache.length)}, each with its mirror image`,
        'to validate on': cache.heldOut ? `${withSeparators(cache.heldOut.length)} more` : 'none',
        latents: `${cache.latentShape.join(' × ')} of ${cache.imageSize} × ${cache.imageSize} pixels`,
        'latent scale': cache.latentScale,
        'SHA-256 of the autoencoder': cache.vaeSha256,
        measured: `${withSeparators(count)} images, posterior means`,
        'channels by falling share of low frequencies': order.join(' '),
      },
      tables: [classTable(cache), channelTable(latents, cache, count, quantizer)],
      details: {
        shards: cache.shards,
        channelOrder: order,
        proposed: calibrate(latents, { channels: cache.latentShape[2] }),
      },
    };
  } finally {
    await cache.close();
  }
}

/** Posterior means of images spread over the cache, scaled as the quantizer gets them; [N, h, w, C]. */
async function readMeans(cache: LatentCache, count: number): Promise<Float32Array> {
  const [height, width, channels] = cache.latentShape;
  const length = height * width * channels;
  const means = new Float32Array(count * length);
  for (let image = 0; image < count; image++) {
    const bits = await cache.read(Math.floor((image * cache.length) / count), false);
    const moments: HostTensor = { dtype: 'F16', shape: [bits.length], data: Uint16Array.from(bits) };
    const values = toFloat32(moments);
    for (let i = 0; i < length; i++) {
      const position = Math.floor(i / channels);
      means[image * length + i] = values[position * 2 * channels + (i % channels)] * cache.latentScale;
    }
  }
  return means;
}

function classTable(cache: LatentCache) {
  const counts = new Array<number>(cache.classNames.length).fill(0);
  for (let index = 0; index < cache.length; index++) counts[cache.labelOf(index)]++;
  return {
    title: 'classes',
    header: ['class', 'label', 'images'],
    rows: counts.map((count, label) => [cache.classNames[label], String(label), String(count)]),
  };
}

function channelTable(latents: Float32Array, { latentShape }: LatentCache, count: number, quantizer: Quantizer) {
  const channels = latentShape[2];
  const { channels: reports, mean } = report(quantizer.quantize(latents), { quantizer, latents, channels });
  const { min, max } = calibrate(latents, { channels });
  const shares = lowFrequencyShares(latents, [count, ...latentShape]);
  const figures = ({ utilisation, entropy, outOfRange, meanSquaredError }: (typeof reports)[number]) => [
    percent(utilisation),
    fixed(entropy, 3),
    percent(outOfRange),
    meanSquaredError.toExponential(2),
  ];
  const rows = reports.map((report, channel) => {
    const { average, deviation } = momentsOf(latents, channel, channels);
    const moments = [fixed(average, 3), fixed(deviation, 3)];
    return [
      String(channel),
      ...moments,
      ...figures(report),
      `${fixed(min[channel], 2)} … ${fixed(max[channel], 2)}`,
      percent(shares[channel]),
    ];
  });
  rows.push(['mean', '', '', ...figures(mean), '', '']);
  const limit = quantizer.max[0];
  return {
    title: `quantizer with B = ${quantizer.levels} on [-${limit}, ${limit}], of at most ${fixed(Math.log2(quantizer.levels), 2)} bits`,
    header: [
      'channel',
      'mean',
      'deviation',
      'levels used',
      'bits',
      'outside',
      'error²',
      'proposed range',
      'low frequencies',
    ],
    rows,
  };
}

function momentsOf(latents: Float32Array, channel: number, channels: number) {
  let sum = 0;
  let squares = 0;
  for (let i = channel; i < latents.length; i += channels) {
    sum += latents[i];
    squares += latents[i] ** 2;
  }
  const count = latents.length / channels;
  const average = sum / count;
  return { average, deviation: Math.sqrt(Math.max(0, squares / count - average ** 2)) };
}
