import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HostTensor, lockFolder, readSafetensors, writeNpz } from '@tb/io';
import { expectClose, formulaWeights, goldenJson, goldenPath, writeLegacyCheckpoint } from '@tb/test-utils';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { symmetricEigenvalues } from '../src/linear-algebra/symmetric-eigenvalues.js';

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const SAMPLES = 8;

type Outcome = { code: number | null; stdout: string; stderr: string };

let root: string;

/**
 * Runs tb-metrics as a user would, with a separate cache folder.
 *
 * @param watch - receives what is on stderr so far
 */
function tbMetrics(args: string[], watch?: (stderr: string, child: ChildProcess) => void): Promise<Outcome> {
  const flags = ['--import', 'tsx', '--conditions=@tb/source', cli, ...args];
  const env = { ...process.env, XDG_CACHE_HOME: join(root, 'cache'), TORCH_HOME: join(root, 'torch') };
  const child = spawn(process.execPath, flags, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    output.stdout += data;
  });
  child.stderr.on('data', (data) => {
    output.stderr += data;
    watch?.(output.stderr, child);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })));
}

/** Weights by formula in the form of the published file, counters included, in the folder where they are looked for. */
async function writeWeights(): Promise<void> {
  const tensors: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(formulaWeights(goldenJson('inception', 'weights.json')))) {
    tensors[name] = tensor;
    const counter = name.replace(/running_var$/, 'num_batches_tracked');
    if (counter !== name) tensors[counter] = { dtype: 'I64', shape: [], data: BigInt64Array.of(0n) };
  }
  await mkdir(join(root, 'cache', 'tokenbridge'), { recursive: true });
  writeLegacyCheckpoint(join(root, 'cache', 'tokenbridge', 'pt_inception-2015-12-05-6726825d.pth'), tensors);
}

/** Crops of a photograph, one of them greyscale. */
async function writeSamples(folder: string): Promise<void> {
  await mkdir(folder);
  for (let i = 0; i < SAMPLES; i++) {
    const region = { left: 24 * i, top: 80, width: 64, height: 64 };
    const crop = sharp(goldenPath('crop', 'chelsea_256.png')).removeAlpha().extract(region);
    await writeFile(join(folder, `${i}.png`), await (i === 3 ? crop.greyscale() : crop).png().toBuffer());
  }
}

/** Statistics in ADM's form: round Gaussians at the origin, Σ = I. */
async function writeStatistics(path: string): Promise<void> {
  const zeros = (...shape: number[]) =>
    ({ dtype: 'F64', shape, data: new Float64Array(shape.reduce((a, b) => a * b)) }) as const;
  const identity = (d: number) => {
    const matrix = zeros(d, d);
    for (let i = 0; i < d; i++) matrix.data[i * (d + 1)] = 1;
    return matrix;
  };
  const [pool, spatial] = [identity(2048), identity(2023)];
  await writeNpz(path, { mu: zeros(2048), sigma: pool, mu_s: zeros(2023), sigma_s: spatial });
}

/**
 * The distance of features [N, D] to that Gaussian, |μ|² + tr Σ + D − 2 tr √Σ, by the N × N matrix of products that has
 * the eigenvalues of Σ.
 */
function distanceToOrigin(features: Float32Array, d: number): number {
  const n = features.length / d;
  const mean = Float64Array.from({ length: d }, (_, k) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += features[i * d + k];
    return sum / n;
  });
  const products = new Float64Array(n * n);
  for (let i = 0; i < n * n; i++) {
    const [a, b] = [Math.floor(i / n) * d, (i % n) * d];
    for (let k = 0; k < d; k++) products[i] += (features[a + k] - mean[k]) * (features[b + k] - mean[k]);
    products[i] /= n - 1;
  }
  const eigenvalues = symmetricEigenvalues(products, n).map((value) => Math.max(0, value));
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  return sum(mean.map((value) => value ** 2)) + sum(eigenvalues) + d - 2 * sum(eigenvalues.map(Math.sqrt));
}

describe('tb-metrics', () => {
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'tb-metrics-cli-'));
    await writeWeights();
    await writeSamples(join(root, 'samples'));
    await writeStatistics(join(root, 'adm_in256_stats.npz'));
  });
  afterAll(() => rm(root, { recursive: true }));

  const timeout = 300_000; // separate processes, each of which loads the weights
  it('evaluates a folder against statistics of ADM, through an interruption, to a JSON report', {
    timeout,
  }, async () => {
    const [report, work] = [join(root, 'reports', 'fid.json'), join(root, 'work')];
    const fid = ['fid', join(root, 'samples'), join(root, 'adm_in256_stats.npz'), '--allow-other-weights'];
    const args = [...fid, '--backend', 'wasm', '--batch', '2', '--resamples', '2', '--resume', work, '--json', report];
    const stopped = await tbMetrics(args, (stderr, child) => {
      if (!child.killed && stderr.includes(`2/${SAMPLES} images`)) child.kill('SIGINT');
    });
    expect(stopped).toMatchObject({ code: 130, stdout: '' });
    expect(stopped.stderr).toMatch(/SIGINT: saving in .*work: run the same command again to resume/);
    const { metadata } = await readSafetensors(join(work, 'samples.safetensors'));
    expect(Number(metadata.count)).toBeLessThan(SAMPLES);

    const { code, stdout, stderr } = await tbMetrics(args);
    expect(stderr).toMatch(/weights .*pt_inception-2015-12-05-6726825d\.pth, SHA-256 [0-9a-f]{64}/);
    expect(stderr).not.toContain(` 2/${SAMPLES} images`); // those were done
    expect(stderr).toMatch(new RegExp(`^samples +${SAMPLES}/${SAMPLES} images`, 'm'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Fréchet distance with other weights +\d+\.\d{4} +\(95%: .*bootstrap\)/);
    expect(stdout).toMatch(/warning: only 8 samples: below 2048 the covariance of 2048 features is singular/);
    expect(stdout).toMatch(/warning: the reference holds statistics only/);

    const json = JSON.parse(await readFile(report, 'utf8'));
    const { tensors } = await readSafetensors(join(work, 'samples.safetensors'));
    const expected = distanceToOrigin(tensors.features.data as Float32Array, 2048);
    expect(Math.abs(json.frechetDistance / expected - 1)).toBeLessThan(1e-6);
    expect(json.spatialFrechetDistance).toBeGreaterThan(0);
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(json).toMatchObject({
      evaluator: expect.stringMatching(/^@tb\/metrics \d/),
      extractor: expect.stringMatching(/tensorflow resize/),
      weightsHash: hash,
      samples: { count: SAMPLES, hash },
      reference: { hash },
      confidence: { level: 0.95, resamples: 2 },
    });
  });

  it('saves statistics, the same as those of the run that was interrupted', { timeout }, async () => {
    const target = join(root, 'statistics.safetensors');
    const flags = ['--allow-other-weights', '--backend', 'wasm'];
    const { code, stdout } = await tbMetrics(['statistics', join(root, 'samples'), target, ...flags]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/statistics of 8 images of .*samples/) });
    const [whole, resumed] = await Promise.all(
      [target, join(root, 'work', 'samples.safetensors')].map(readSafetensors),
    );
    expect(whole.metadata.pixelHash).toBe(resumed.metadata.pixelHash);
    for (const name of ['pool.sum', 'spatial.sum', 'features']) {
      expectClose(whole.tensors[name].data as Float64Array, resumed.tensors[name].data as Float64Array, 1e-5, name);
    }
  });

  it('continues when nobody reads its output any more', { timeout }, async () => {
    const target = join(root, 'unread.safetensors');
    const args = ['statistics', join(root, 'samples'), target, '--allow-other-weights', '--backend', 'wasm'];
    const { code, stderr } = await tbMetrics(args, (_, { stdout }) => stdout!.destroy());
    expect(stderr).not.toMatch(/EPIPE|\n\s+at /);
    expect(code).toBe(0);
    expect((await readSafetensors(target)).metadata.count).toBe(`${SAMPLES}`);
  });

  it('reports what is missing, damaged or unknown, and what to do', async () => {
    const samples = join(root, 'samples');
    const [missing, other, unknown] = await Promise.all([
      tbMetrics(['fid', samples, samples, '--weights', join(root, 'none.pth')]),
      tbMetrics(['fid', samples, samples, '--backend', 'cpu']),
      tbMetrics(['fid', samples, samples, '--bach', '3']),
    ]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).not.toMatch(/^backend /m); // refused before a backend is loaded
    expect(missing.stderr).toMatch(/none\.pth does not exist/);
    expect(missing.stderr).toMatch(/Download https:\S+pt_inception-2015-12-05-6726825d\.pth/);
    expect(missing.stderr).toMatch(
      /95,628,359 bytes, SHA-256 6726825d[0-9a-f]{56}\)\s+into \S+tokenbridge, or .*--weights/,
    );
    expect(missing.stderr).not.toMatch(/\n\s+at /); // no stack
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/is damaged or holds other weights[\s\S]*SHA-256 [0-9a-f]{64}, must be\s+6726825d/);
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/unknown option '--bach'[\s\S]*--batch/) });
  });

  it('finds out before the work that its result cannot be written', async () => {
    const [samples, file] = [join(root, 'samples'), join(root, 'adm_in256_stats.npz')];
    const work = await mkdtemp(join(root, 'locked-'));
    const leave = await lockFolder(work);
    const outcomes = await Promise.all([
      tbMetrics(['statistics', samples, join(root, 'new', 'x.safetensors'), '--resume', work]),
      tbMetrics(['fid', samples, samples, '--json', samples]),
      tbMetrics(['fid', samples, samples, '--json', join(file, 'fid.json')]),
      tbMetrics(['fid', samples, samples, '--json', join(root, 'fid.json'), '--resume', file]),
      tbMetrics([
        'fid',
        'no\nwhere',
        samples,
        '--json',
        join(root, 'new', 'fid.json'),
        '--resume',
        join(root, 'new', 'a'),
      ]),
    ]);
    expect(outcomes.map(({ code }) => code)).toEqual([1, 1, 1, 1, 1]);
    await leave();
    expect(await readdir(root)).not.toContain('new'); // nothing is left behind
    const inUse = new RegExp(`^tb-metrics: --resume ${work} is in use: process ${process.pid} on .* since `);
    expect(outcomes.map(({ stderr }) => stderr.trim())).toEqual([
      expect.stringMatching(inUse),
      `tb-metrics: --json ${samples} must name a file, and a folder has that name`,
      `tb-metrics: --json ${join(file, 'fid.json')} cannot be written: a file has that name`,
      `tb-metrics: --resume ${file} cannot be written: a file has that name`,
      'tb-metrics: no\\nwhere does not exist',
    ]);
  });
});
