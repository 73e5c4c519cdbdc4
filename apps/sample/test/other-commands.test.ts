import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeImage } from '@tb/images';
import { writeSafetensors } from '@tb/io';
import { packCodes } from '@tb/quantizer';
import { hostRandom, useBackend } from '@tb/runtime';
import { goldenPath } from '@tb/test-utils';
import { writeLatentCache } from '@tb/trainer';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from './run-command.js';
import { writeTinyWeights } from './tiny-weights.js';

let root: string;
let weights: { model: string; vae: string };

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tb-sample-'));
  await useBackend('wasm');
  weights = await writeTinyWeights(join(root, 'weights'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** An image of noise, which no two draws have in common. */
async function writeNoise(path: string, width: number, height: number, seed: number): Promise<void> {
  const random = hostRandom(seed);
  const data = Buffer.from(Array.from({ length: width * height * 3 }, () => Math.floor(256 * random.uniform())));
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

describe('tb-sample', () => {
  it('reconstructs at several levels and ranges', async () => {
    const [wide, tall, grid] = ['wide.png', 'tall.png', 'comparison.png'].map((name) => join(root, name));
    await writeNoise(wide, 90, 40, 1);
    await writeNoise(tall, 30, 70, 2);
    const compare = (...args: string[]) =>
      runCommand('reconstruct', ...args, '--vae', weights.vae, '--backend', 'wasm', '--grid', grid);
    const { code, stdout } = await compare(wide, tall, '--levels', '2,256', '--ranges', '1,5', '--image-size', '32');
    expect(code).toBe(0);
    const rows = stdout.split('\n').map((line) => line.split(/\s{2,}/));
    const meanPsnr = (range: string, levels: string) =>
      Number(rows.find((row) => row[0] === 'mean' && row[1] === range && row[2] === levels)?.[3]);
    const [continuous, fine, coarse] = [
      meanPsnr('-', 'continuous'),
      meanPsnr('[-5, 5]', '256'),
      meanPsnr('[-5, 5]', '2'),
    ];
    expect(Math.abs(fine - continuous)).toBeLessThan(0.1);
    expect(Math.abs(coarse - continuous)).toBeGreaterThan(Math.abs(fine - continuous));
    // Two images with two ranges each, four columns of at least 144 pixels.
    const { width, height } = await decodeImage(grid);
    expect([width >= 4 * 144, height >= 4 * 144]).toEqual([true, true]);

    expect((await compare(wide, '--image-size', '30')).stderr).toMatch(/--image-size must be a multiple of 4.* got 30/);
    await writeFile(join(root, 'broken.png'), 'not an image');
    expect(await compare(join(root, 'broken.png'))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^tb-sample: image .*broken\.png cannot be read/),
    });
  });

  it('inspects checkpoints of which parts cannot be read, repeat, or would steer a terminal', async () => {
    const fixture = (name: string) => fileURLToPath(new URL(`../../../packages/io/fixtures/${name}`, import.meta.url));
    const inspect = async (path: string) => {
      const { code, stdout, stderr } = await runCommand('inspect', path, '--json');
      expect([code, stderr]).toEqual([0, '']);
      return JSON.parse(stdout);
    };
    const masked = await inspect(fixture('sound/masked.pth'));
    expect(masked.tensors).toEqual([{ name: 'model.weight', dtype: 'F32', shape: [2] }]);
    expect(masked.details).toMatchObject({ 'extra.(numpy.ma.core._mareconstruct).0': 'numpy.ma.MaskedArray' });
    const integers = await inspect(fixture('sound/random-state.pth'));
    expect(integers.tensors).toContainEqual({ name: 'extra.1', dtype: 'U32', shape: [624] });
    const quantized = await inspect(fixture('sound/legacy-quantized.pth'));
    expect(quantized.tensors).toContainEqual({ name: 'extra', dtype: 'qint8', shape: [2] });
    expect(quantized.facts['not checked']).toMatch(/the file holds no checksums/);

    const doubled = join(root, 'doubled.pth'); // a tuple of the tuple before it, twice, 2^40 paths
    const list = Buffer.concat([
      Buffer.from('\x80\x02N', 'latin1'),
      Buffer.alloc(80, '2\x86', 'latin1'),
      Buffer.from('.'),
    ]);
    const magic = Buffer.from('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.', 'latin1');
    const machine = Buffer.from('\x80\x02}X\r\0\0\0little_endian\x88s.', 'latin1');
    await writeFile(doubled, Buffer.concat([magic, machine, list, Buffer.from('\x80\x02].', 'latin1')]));
    expect(Object.keys((await inspect(doubled)).details)).toHaveLength(2);

    const steering = join(root, 'steering.safetensors');
    const tensor = { dtype: 'F32' as const, shape: [1], data: Float32Array.of(1) };
    const metadata = { note: 'a\u009b31m\u202eb', nested: `${'['.repeat(50_000)}${']'.repeat(50_000)}` };
    await writeSafetensors(steering, { 'w\u001b[2J': tensor }, { metadata });
    expect((await inspect(steering)).details.note).toBe(metadata.note);
    const { stdout } = await runCommand('inspect', steering);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be printed.
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  });

  it('inspects weights, checkpoints, caches and code files', async () => {
    const inspect = async (...args: string[]) => JSON.parse((await runCommand('inspect', ...args, '--json')).stdout);
    const model = await inspect(weights.model);
    const official = await inspect(goldenPath('tokenbridge', 'checkpoint-last.pth'));
    expect(model.kind).toMatch(/TokenBridge model/);
    expect(model.facts.numbers).toBe('11,600');
    expect(model.details).toMatchObject({ imageSize: 16, 'tokenbridge.config': { classes: 3 } });
    expect(official.kind).toBe('checkpoint of PyTorch');
    expect(official.tensors).toContainEqual({ name: 'model_ema.mask_token', dtype: 'F32', shape: expect.any(Array) });

    const cache = join(root, 'cache');
    const random = hostRandom(3);
    const info = { classNames: ['a', 'b'], imageSize: 16, latentShape: [4, 4, 4] as [number, number, number] };
    async function* samplesFrom(first: number) {
      for (let place = first; place < 8; place++) {
        // Means of variance 1 in channels 0 to 2 and far too wide in channel 3, in both of mirror images.
        const moments = Float32Array.from({ length: 2 * 16 * 8 }, (_, i) => random.normal() * (i % 8 === 3 ? 10 : 1));
        yield { label: place % 2, moments, place };
      }
    }
    const training = { origin: 'noise', length: 8, samplesFrom };
    await writeLatentCache(
      cache,
      { ...info, latentScale: 1, vaeSha256: 'a'.repeat(64) },
      { training },
      { samplesPerShard: 5 },
    );
    const codes = join(root, 'codes.tbqc');
    await writeFile(codes, packCodes([0, 1, 2, 3, 0, 1, 2, 3], { levels: 64, shape: [4, 2] }));
    const ofCache = await inspect(cache, '--levels', '32');
    const ofCodes = await inspect(codes);
    const outside = ofCache.tables[1].rows.map((row: string[]) => Number.parseFloat(row[5]));
    expect(outside[3]).toBeGreaterThan(40); // P(|10 x| > 5) = 0.62
    expect(outside[0]).toBe(0);
    expect(new Set(ofCache.details.channelOrder)).toEqual(new Set([0, 1, 2, 3]));
    expect(ofCodes.facts).toMatchObject({ codes: '8', levels: 64 });
    expect(ofCodes.tables[0].rows[2]).toEqual(['mean', '3.13%', '1.000']);
  });

  it('evaluates pairs of images, and reports which weights the FID lacks', async () => {
    const [ours, theirs] = [join(root, 'ours'), join(root, 'theirs')];
    await mkdir(ours);
    await mkdir(theirs);
    for (const [folder, seed] of [
      [ours, 1],
      [theirs, 2],
    ] as const) {
      await writeNoise(join(folder, 'same.png'), 16, 16, 9);
      await writeNoise(join(folder, 'other.png'), 16, 16, seed);
    }
    const pairs = await runCommand('evaluate', ours, theirs, '--pairs');
    const weightsFlag = ['--weights', join(root, 'inception.pth')];
    const sets = await runCommand('evaluate', ours, theirs, '--backend', 'wasm', ...weightsFlag);
    expect(pairs.code).toBe(0);
    expect(pairs.stdout).toMatch(/same +Infinity +1\.0000/);
    // Uniform noise differs from other noise by a mean square of 255² / 6: 7.8 dB.
    expect(Number(/other +([\d.]+)/.exec(pairs.stdout)?.[1])).toBeCloseTo(7.8, 0);
    expect(sets).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Inception-v3's weights are needed.*inception\.pth/),
    });
    await rm(join(theirs, 'other.png'));
    expect((await runCommand('evaluate', ours, theirs, '--pairs')).stderr).toMatch(/same names; only one has other/);
    const unused = await runCommand('evaluate', ours, theirs, '--pairs', '--resume', join(root, 'none'));
    expect(unused).toMatchObject({ code: 1, stderr: 'tb-sample: --resume does nothing with --pairs\n' });
    const taken = join(root, 'taken');
    await writeFile(taken, '');
    const refused = await runCommand('evaluate', ours, theirs, '--resume', taken);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--resume .*taken cannot be written: a file/),
    });
  });
});
