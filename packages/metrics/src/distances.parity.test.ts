import { goldenJson, goldenTensors, toNumbers } from '@tb/test-utils';
import { beforeAll, describe, expect, it } from 'vitest';
import { frechetDistance } from './frechet-distance.js';
import { gaussianStatistics } from './gaussian-statistics.js';
import { psnr, ssim } from './image-quality.js';
import { inceptionScore } from './inception-score.js';
import { manifoldScores } from './nearest-neighbours.js';
import { numpyPermutation } from './numpy-permutation.js';

const expected = goldenJson('metrics', 'expected.json');
type Tensors = Awaited<ReturnType<typeof goldenTensors>>;

/** |actual − reference| / |reference| at most 1e-6, the bound this package promises. */
function expectRelative(actual: number, reference: number, tolerance = 1e-6): void {
  expect(Math.abs(actual - reference)).toBeLessThanOrEqual(tolerance * Math.abs(reference));
}

describe('Fréchet distance', () => {
  let tensors: Tensors;
  beforeAll(async () => {
    tensors = await goldenTensors('metrics', 'frechet.safetensors');
  });
  const gaussian = (index: 1 | 2) => ({
    mean: toNumbers(tensors[`gaussians.mu${index}`]),
    covariance: toNumbers(tensors[`gaussians.sigma${index}`]),
  });
  const features = (name: 'a' | 'b', rows = tensors[`features_${name}`].shape[0]) => {
    const { data, shape } = tensors[`features_${name}`];
    return gaussianStatistics(Array.from(data as Float32Array).slice(0, rows * shape[1]), shape[1]);
  };

  it('agrees on given Gaussians', () => {
    expectRelative(frechetDistance(gaussian(1), gaussian(2)), expected.frechet_gaussians.numpy_symmetric_eigh);
  });

  it('is zero between equal Gaussians', () => {
    expect(frechetDistance(gaussian(1), gaussian(1))).toBeLessThan(1e-9);
  });

  it('agrees on features', () => {
    expectRelative(frechetDistance(features('a'), features('b')), expected.frechet_features.numpy_symmetric_eigh);
  });

  it('agrees where both covariances are singular', () => {
    const { n_a, n_b, ...reference } = expected.frechet_features_rank_deficient;
    const actual = frechetDistance(features('a', n_a), features('b', n_b));
    expectRelative(actual, reference.torch_fidelity_fid_statistics_to_metric_eigvals);
  });
});

describe('Inception Score', () => {
  it('agrees with and without shuffling, for one split and for a count that splits do not divide', async () => {
    const { logits, permutation_RandomState2020 } = await goldenTensors('metrics', 'inception_score.safetensors');
    const [count, classes] = logits.shape;
    const data = toNumbers(logits);
    const reference = expected.inception_score;
    const check = (actual: ReturnType<typeof inceptionScore>, key: string) => {
      const found = key in reference ? key : Object.keys(reference).find((each) => each.startsWith(key))!;
      expectRelative(actual.mean, reference[found].inception_score_mean);
      expect(actual.standardDeviation).toBeCloseTo(reference[found].inception_score_std, 6);
    };
    check(inceptionScore(data, classes), 'splits10_no_shuffle');
    const order = numpyPermutation(2020, count);
    expect(Array.from(order)).toEqual(Array.from(toNumbers(permutation_RandomState2020)));
    check(inceptionScore(data, classes, { order }), 'splits10_shuffle_true');
    check(inceptionScore(data, classes, { splits: 1 }), 'splits1');
    const part = Object.keys(reference).find((each) => each.includes('rows'))!;
    const rows = Number(/first_(\d+)_rows/.exec(part)![1]);
    expect(rows).toBeLessThanOrEqual(count);
    check(inceptionScore(data.slice(0, rows * classes), classes), part);
  });
});

describe('precision and recall', () => {
  it('agrees exactly for every k of the set', async () => {
    const { generated, real } = await goldenTensors('metrics', 'precision_recall.safetensors');
    const set = (tensor: typeof real) => ({ values: toNumbers(tensor), dimensions: tensor.shape[1] });
    const cases = Object.values(expected.precision_recall).filter((each) => typeof each === 'object') as {
      k: number;
      precision: number;
      recall: number;
    }[];
    expect(cases.length).toBeGreaterThan(0);
    for (const { k, precision, recall } of cases) {
      expect(manifoldScores(set(generated), set(real), k)).toMatchObject({ precision, recall });
    }
  });
});

describe('PSNR and SSIM', () => {
  it('agrees on every pair', async () => {
    const { a, b } = await goldenTensors('metrics', 'images.safetensors');
    for (const { pair, psnr_db, ssim: similarity } of expected.psnr_ssim.pairs) {
      const [first, second] = [imageOf(a, pair), imageOf(b, pair)];
      expectRelative(psnr(first, second, 1), psnr_db);
      expectRelative(ssim(first, second, 1), similarity);
      expect(psnr(first, first, 1)).toBe(Number.POSITIVE_INFINITY);
      expect(ssim(first, first, 1)).toBeCloseTo(1, 12);
    }
  });
});

/** Image `index` of an NCHW tensor as [H, W, C]. */
function imageOf({ data, shape: [, channels, height, width] }: Tensors[string], index: number) {
  const size = height * width;
  const values = Float64Array.from({ length: size * channels }, (_, i) =>
    Number(data[(index * channels + (i % channels)) * size + Math.floor(i / channels)]),
  );
  return { data: values, height, width };
}
