import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testBackends } from '@tb/test-utils';
import { readRecords, readWeightsInfo } from '@tb/trainer';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeImages } from './make-images.js';
import { runCommand, startCommand, startSample } from './run-command.js';

const lossesOf = (out: string) =>
  readRecords(join(out, 'log.jsonl'))
    .filter(({ event }) => event === 'step')
    .map(({ step, loss }) => `${step} ${loss}`);
const validationOf = (out: string) =>
  readRecords(join(out, 'log.jsonl')).find(({ event }) => event === 'validation') as Record<string, unknown>;

/** Runs tb-train in a process that gets `signal` once it has logged `step`. */
async function stopAt(step: number, signal: NodeJS.Signals, out: string, args: readonly string[]) {
  const { child, finished } = startCommand([...args, '--out', out]);
  const timer = setInterval(() => {
    if (lossesOf(out).length < step) return;
    clearInterval(timer);
    child.kill(signal);
  }, 20);
  try {
    return await finished;
  } finally {
    clearInterval(timer);
  }
}

/** Runs tb-train to its end. */
async function succeed(...args: string[]): Promise<string> {
  const { code, stderr } = await runCommand(args);
  expect(stderr).not.toMatch(/^tb-train:/m);
  expect(code).toBe(0);
  return stderr;
}

describe.each(testBackends)('tb-train on %s', (backend) => {
  const folder = mkdtempSync(join(tmpdir(), 'tb-train-cli-'));
  const images = join(folder, 'images');
  const validation = join(folder, 'validation');
  const vae = join(folder, 'vae', 'vae.safetensors');
  const small = ['--image-size', '16', '--batch', '2', '--backend', backend, '--threads', '1', '--seed', '3'];

  beforeAll(async () => {
    await makeImages(images, 5);
    await makeImages(validation, 3);
    const output = await succeed(
      ...['vae', '--data', images, ...small, '--steps', '2', '--half', '--out', join(folder, 'vae')],
    );
    expect(output).toContain(`autoencoder: ${vae}`);
  });

  it.runIf(backend === 'tensorflow')('reports that TensorFlow runs, whatever Python it was built against', async () => {
    const { code, stdout } = await runCommand(['doctor', '--device', 'cpu', '--python', join(folder, 'no-python')]);
    expect(code).toBe(0);
    expect(stdout).toContain('runs on the CPU');
    expect(stdout).toMatch(/Commands on this machine will run on: (tensorflow|xla)\.\n$/);
  });

  it('lists the backends, and which one runs', async () => {
    const { code, stdout } = await runCommand(['doctor']);
    expect(code).toBe(0);
    for (const name of ['xla', 'tensorflow', 'wasm', 'cpu'])
      expect(stdout).toMatch(new RegExp(`^${name} +(not )?available: `, 'm'));
    expect(stdout).toMatch(/^Commands on this machine will run on: (xla|tensorflow|wasm)\.\n$/m);
  });

  it('leaves a run folder with weights, log, events and report', async () => {
    const files = readdirSync(join(folder, 'vae'));
    expect(files).toEqual(expect.arrayContaining(['checkpoints', 'log.jsonl', 'report.html', 'vae.safetensors']));
    expect(files.some((file) => file.startsWith('events.out.tfevents.'))).toBe(true);
    const info = await readWeightsInfo(vae);
    expect(info.classNames).toEqual(['discs', 'stripes']);
    expect(info.imageSize).toBe(16);
    const report = readFileSync(join(folder, 'vae', 'report.html'), 'utf8');
    expect(report).toContain('<polyline');
    expect(report).toContain('<img');
  });

  it('continues a stopped run of twenty steps exactly, in the middle of an epoch, for tb-sample to sample', {
    timeout: 240_000,
  }, async () => {
    const args = ['model', '--data', images, '--vae', vae, ...small, '--steps', '20', '--warmup-steps', '5'];
    const complete = join(folder, 'complete');
    const out = join(folder, 'stopped');
    await succeed(...args, '--out', complete);

    const stopped = await stopAt(7, 'SIGTERM', out, args);
    expect(stopped.code).toBe(143);
    expect(stopped.stderr).toContain('continue with --resume');
    const done = lossesOf(out).length;
    expect(done).toBeGreaterThanOrEqual(7);
    expect(done).toBeLessThan(20);
    const [checkpoint] = readdirSync(join(out, 'checkpoints'));
    const info = await readWeightsInfo(join(out, 'checkpoints', checkpoint, 'ema.safetensors'));
    expect(info).toMatchObject({
      classNames: ['discs', 'stripes'],
      imageSize: 16,
      vaeSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      modelConfig: { classes: 2, latent: { height: 2, width: 2, channels: 16 } },
    });

    await succeed('model', '--resume', '--out', out);
    expect(lossesOf(out)).toEqual(lossesOf(complete));
    const [ours, theirs] = [out, complete].map((run) => readFileSync(join(run, 'model.safetensors')));
    expect(ours.equals(theirs)).toBe(true);

    const grid = join(folder, 'stripes.png');
    const last = join(out, 'checkpoints', 'step-00000020');
    const generate = ['generate', '--model', last, '--classes', 'stripes', '--backend', backend, '--grid', grid];
    const sampled = await startSample(generate).finished;
    expect(sampled).toMatchObject({ code: 0, stdout: `overview: ${grid}\n` });
    expect(readFileSync(grid).toString('latin1')).toContain('"weights":"ema"');
  });

  it('trains from a latent cache as from images, and validates on what it holds', { timeout: 240_000 }, async () => {
    const cache = join(folder, 'cache');
    const data = ['--data', images, '--validation', validation];
    const made = await succeed('cache', ...data, '--vae', vae, ...small, '--samples-per-shard', '4', '--out', cache);
    expect(made).toContain('10/10 images');
    expect(made).toContain(`10 images and their mirror images in ${cache}, and 6 to validate on`);
    const [cached, direct] = [join(folder, 'cached'), join(folder, 'direct')];
    const parts = ['--micro-batch', '1'];
    const trained = await succeed('model', '--cache', cache, ...small, ...parts, '--steps', '2', '--out', cached);
    expect(trained).toContain('batch: 2 images per update, in 2 micro-batches of 1');
    await succeed('model', ...data, '--vae', vae, ...small, '--steps', '2', '--out', direct);
    // The moments of a cache are rounded to half precision; order, mirroring, masks and noise are the same.
    const numbersOf = (out: string) => lossesOf(out).map((line) => Number(line.split(' ')[1]));
    for (const [step, loss] of numbersOf(cached).entries()) expect(loss).toBeCloseTo(numbersOf(direct)[step], 1);
    for (const name of ['loss', 'accuracy']) {
      expect(Number(validationOf(cached)[name])).toBeCloseTo(Number(validationOf(direct)[name]), 1);
    }

    const other = ['--image-size', '32', '--out', join(folder, 'other-size')];
    expect((await runCommand(['model', '--cache', cache, ...other])).stderr).toMatch(
      /--image-size 32 is not that of the cache, which holds images of 16: /,
    );
    const again = await runCommand(['cache', ...data, '--vae', vae, ...small, '--out', cache]);
    expect(again.stderr).toContain(`--out ${cache} holds a cache already: remove it, or choose another folder`);
    writeFileSync(join(cache, 'latents-00001.safetensors'), 'damaged');
    const refused = await runCommand(['model', '--cache', cache, ...small, '--out', join(folder, 'refused')]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /latent cache cannot be used: .*latents-00001.safetensors does not have the SHA-256/,
    );
  });

  const empty = join(folder, 'empty');
  const hollow = join(folder, 'hollow');
  mkdirSync(empty);
  mkdirSync(join(hollow, 'cats'), { recursive: true });
  writeFileSync(join(hollow, 'cats', 'broken.jpg'), 'no image');
  writeFileSync(join(folder, 'config.json'), '{"stepz": 3}');
  writeFileSync(join(folder, 'list.json'), '[1]');
  writeFileSync(join(folder, 'short.json'), '{"steps": 3,');
  writeFileSync(join(folder, 'unfinished.ts'), 'export default {');
  it.each([
    ['an unknown flag', ['model', '--stpes', '3'], /unknown option '--stpes'\s+\(Did you mean --steps\?\)/],
    ['an unknown command', ['modle'], /unknown command 'modle'\s+\(Did you mean model\?\)/],
    [
      'an unknown key',
      ['model', '--config', join(folder, 'config.json')],
      /unknown key "stepz"; did you mean "steps"\?/,
    ],
    [
      'a configuration of an unknown name',
      ['vae', '--config', 'demo-vea'],
      /config demo-vea is neither a file nor .* is bundled with tb-train; did you mean "demo-vae"\?/,
    ],
    [
      'a configuration that was cut short',
      ['model', '--config', join(folder, 'short.json')],
      /^tb-train: config .*short\.json cannot be read: it (ends in the middle|is not JSON).*\n$/,
    ],
    ['a folder as a configuration', ['vae', '--config', folder], /config .* is neither a file nor a configuration/],
    [
      'a configuration that is not finished',
      ['vae', '--config', join(folder, 'unfinished.ts')],
      /^tb-train: config .*unfinished\.ts cannot be read: .+\n$/, // one line
    ],
    [
      'a list as a configuration',
      ['vae', '--config', join(folder, 'list.json')],
      /list\.json must export an object of options/,
    ],
    [
      'a device that the backend has not',
      ['vae', '--data', images, '--backend', 'wasm', '--device', 'gpu', '--out', join(folder, 'x9')],
      /wasm does not load: it runs on the CPU, and the GPU was asked for/,
    ],
    [
      'a value of the wrong kind',
      ['model', '--batch', 'many'],
      /--batch must be an integer from 1 to 65536, got "many"/,
    ],
    ['no data', ['vae', '--out', join(folder, 'x1')], /--data must name a folder/],
    [
      'a missing folder',
      ['vae', '--data', '/nowhere', '--out', join(folder, 'x2')],
      /\/nowhere cannot be read: it does not exist/,
    ],
    [
      'an empty folder',
      ['vae', '--data', empty, '--out', join(folder, 'x3')],
      /must hold images \(PNG, .*\), got an empty folder/,
    ],
    [
      'a class without a readable image',
      ['vae', '--data', hollow, '--out', join(folder, 'x4')],
      /class cats of \S+ must have a readable image/,
    ],
    [
      'a folder that cannot be written',
      ['vae', '--data', images, '--out', join(images, 'discs', '0.png', 'run')],
      /--out .* cannot be written: /,
    ],
    [
      'missing weights',
      ['model', '--data', images, ...small, '--vae', '/nowhere.safetensors', '--out', join(folder, 'x5')],
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
      /--initial .*vae\.safetensors holds an autoencoder, not a TokenBridge model/,
    ],
    [
      'more devices than there are',
      ['vae', '--data', images, ...small, '--devices', '2', '--steps', '2', '--out', join(folder, 'x8')],
      new RegExp(`--devices 2: backend ${backend} has one device; several GPUs need --backend xla`),
    ],
    ['nothing to resume', ['model', '--resume', '--out', join(folder, 'x7')], /--resume: .*x7 holds no checkpoint/],
    [
      'a checkpoint instead of its run',
      ['vae', '--resume', '--out', join(folder, 'vae', 'checkpoints', 'step-00000002')],
      /step-00000002 is a checkpoint: --resume needs its run folder, --out .*vae\n/,
    ],
    [
      'a run that is already there',
      ['vae', '--data', images, '--out', join(folder, 'vae')],
      /holds a run already: continue it with --resume/,
    ],
  ])('refuses %s in one sentence', async (_, args, message) => {
    const before = readdirSync(folder);
    const { code, stderr } = await runCommand(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(readdirSync(folder)).toEqual(before); // nothing is left behind
    expect(stderr).not.toMatch(/\n\s+at /); // no stack
  });
});
