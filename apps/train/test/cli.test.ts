import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRecords, readWeightsInfo } from '@tb/trainer';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeImages } from './make-images.js';
import { runCli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'tb-train-cli-'));
const images = join(folder, 'images');
const vae = join(folder, 'vae', 'vae.safetensors');
const small = ['--image-size', '16', '--batch', '2', '--backend', 'wasm', '--threads', '1', '--seed', '3'];
const lossesOf = (out: string) =>
  readRecords(join(out, 'log.jsonl'))
    .filter(({ event }) => event === 'step')
    .map(({ step, loss }) => `${step} ${loss}`);

/** Ends the process once it has logged `step`. */
const stopAt = (step: number, signal: NodeJS.Signals, out: string) => (kill: (signal: NodeJS.Signals) => void) => {
  const timer = setInterval(() => {
    if (lossesOf(out).length < step) return;
    clearInterval(timer);
    kill(signal);
  }, 20);
  timer.unref();
};

describe('tb-train', () => {
  beforeAll(async () => {
    await makeImages(images, 5);
    const trained = await runCli([
      'vae',
      '--data',
      images,
      ...small,
      '--steps',
      '2',
      '--half',
      '--out',
      join(folder, 'vae'),
    ]);
    expect(trained.output).toContain(`autoencoder: ${vae}`);
    expect(trained.code).toBe(0);
  });

  it('leaves a run folder with weights, log, events and report', async () => {
    const files = readdirSync(join(folder, 'vae'));
    expect(files).toEqual(expect.arrayContaining(['checkpoints', 'log.jsonl', 'report.html', 'vae.safetensors']));
    expect(files.some((file) => file.startsWith('events.out.tfevents.'))).toBe(true);
    const info = await readWeightsInfo(vae);
    expect(info.classNames).toEqual(['discs', 'stripes']);
    expect(info.imageSize).toBe(16);
    expect(readFileSync(join(folder, 'vae', 'report.html'), 'utf8')).toContain('<polyline');
  });

  it('continues a stopped run of twenty steps exactly, in the middle of an epoch', async () => {
    const args = ['model', '--data', images, '--vae', vae, ...small, '--steps', '20', '--warmup-steps', '5'];
    const whole = join(folder, 'whole');
    const out = join(folder, 'stopped');
    expect((await runCli([...args, '--out', whole])).code).toBe(0);

    const stopped = await runCli([...args, '--out', out], stopAt(7, 'SIGTERM', out));
    expect(stopped.code).toBe(143);
    expect(stopped.output).toContain('continue with --resume');
    const done = lossesOf(out).length;
    expect(done).toBeGreaterThanOrEqual(7);
    expect(done).toBeLessThan(20);

    const resumed = await runCli(['model', '--resume', '--out', out]);
    expect(resumed.code).toBe(0);
    expect(lossesOf(out)).toEqual(lossesOf(whole));
    expect(existsSync(join(out, 'model.safetensors'))).toBe(true);
    const [ours, theirs] = [out, whole].map((run) => readFileSync(join(run, 'model.safetensors')));
    expect(ours.equals(theirs)).toBe(true);
  });

  it('trains from a latent cache', async () => {
    const cache = join(folder, 'cache');
    const made = await runCli([
      'cache',
      '--data',
      images,
      '--vae',
      vae,
      ...small,
      '--samples-per-shard',
      '4',
      '--out',
      cache,
    ]);
    expect(made.output).toContain('10 pictures and their mirror images');
    const out = join(folder, 'cached');
    const args = ['--cache', cache, ...small, '--micro-batch', '1', '--steps', '2', '--out', out];
    const trained = await runCli(['model', ...args]);
    expect(trained.output).toContain('batch: 2 pictures an update, in 2 micro-batches of 1');
    expect(trained.code).toBe(0);
    expect(lossesOf(out)).toHaveLength(2);

    writeFileSync(join(cache, 'latents-00001.safetensors'), 'damaged');
    const refused = await runCli([
      'model',
      '--cache',
      cache,
      ...small,
      '--steps',
      '2',
      '--out',
      join(folder, 'refused'),
    ]);
    expect(refused.code).toBe(1);
    expect(refused.output).toMatch(
      /latent cache .* cannot be used: latents-00001.safetensors does not have the SHA-256/,
    );
  });

  const empty = join(folder, 'empty');
  const hollow = join(folder, 'hollow');
  mkdirSync(empty);
  mkdirSync(join(hollow, 'cats'), { recursive: true });
  writeFileSync(join(hollow, 'cats', 'broken.jpg'), 'no image');
  writeFileSync(join(folder, 'config.json'), '{"stepz": 3}');
  it.each([
    ['an unknown flag', ['model', '--stpes', '3'], /unknown option '--stpes'\s+\(Did you mean --steps\?\)/],
    ['an unknown command', ['modle'], /unknown command 'modle'\s+\(Did you mean model\?\)/],
    [
      'an unknown key',
      ['model', '--config', join(folder, 'config.json')],
      /unknown key "stepz"; did you mean "steps"\?/,
    ],
    ['a value of the wrong kind', ['model', '--batch', 'many'], /--batch must be an integer of at least 1, got "many"/],
    ['no data', ['vae', '--out', join(folder, 'x1')], /--data must name a folder/],
    [
      'a missing folder',
      ['vae', '--data', '/nowhere', '--out', join(folder, 'x2')],
      /\/nowhere cannot be read: it does not exist/,
    ],
    [
      'an empty folder',
      ['vae', '--data', empty, '--out', join(folder, 'x3')],
      /one folder of images per class, got an empty folder/,
    ],
    [
      'a class without a readable image',
      ['vae', '--data', hollow, '--out', join(folder, 'x4')],
      /cats must hold a readable image/,
    ],
    [
      'a folder that cannot be written',
      ['vae', '--data', images, '--out', join(images, 'discs', '0.png', 'run')],
      /--out .* cannot be written: /,
    ],
    [
      'missing weights',
      ['model', '--data', images, '--vae', '/nowhere.safetensors', '--out', join(folder, 'x5')],
      /--vae \/nowhere.safetensors does not exist/,
    ],
    [
      'weights of another model',
      [
        'model',
        '--data',
        images,
        ...small,
        '--vae',
        vae,
        '--initial',
        vae,
        '--steps',
        '2',
        '--out',
        join(folder, 'x6'),
      ],
      /missing fake_latent/,
    ],
    [
      'more devices than there are',
      ['vae', '--data', images, ...small, '--devices', '2', '--steps', '2', '--out', join(folder, 'x8')],
      /--devices 2: backend wasm has one device; several GPUs need --backend xla/,
    ],
    ['nothing to resume', ['model', '--resume', '--out', join(folder, 'x7')], /--resume: there is no whole checkpoint/],
    [
      'a run that is already there',
      ['vae', '--data', images, '--out', join(folder, 'vae')],
      /holds a run already: continue it with --resume/,
    ],
  ])('refuses %s in one sentence', async (_, args, message) => {
    const { code, output } = await runCli(args);
    expect(output).toMatch(message);
    expect(code).toBe(1);
    expect(output).not.toMatch(/\n\s+at /); // no stack
  });
});
