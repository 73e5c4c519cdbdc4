import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeImage } from '@tb/images';
import { useBackend } from '@tb/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveServe } from '../src/commands/serve/options.js';
import { shellWord } from '../src/commands/serve/shell-word.js';
import { makeThumbnails } from '../src/commands/serve/thumbnails.js';
import { demoWeights } from '../src/options.js';
import type { FinishedImage, JobEvent, ModelInfo } from '../src/page/messages.js';
import { allEvents, post } from './page-server.js';
import { runCommand, startCommand } from './run-command.js';
import { writeTinyWeights } from './tiny-weights.js';

let folder: string;
let weights: { model: string; vae: string };

beforeAll(async () => {
  await useBackend('wasm');
  folder = await mkdtemp(join(tmpdir(), 'tb-serve-'));
  weights = await writeTinyWeights(join(folder, 'weights'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('tb-sample serve', () => {
  it('makes the images of tb-sample generate, offers its command, and stops cleanly', {
    timeout: 120_000,
  }, async () => {
    const flags = ['--model', weights.model, '--backend', 'wasm'];
    const { child, finished } = startCommand(['serve', '--port', '0', '--runs', folder, ...flags]);
    let printed = '';
    const address = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (data) => {
        printed += data;
        const found = /the page is at (http:\S+)\n/.exec(printed);
        if (found) resolve(found[1]);
      });
      finished.then(({ stderr }) => reject(new Error(stderr)));
    });
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    const page = await (await fetch(address)).text();
    expect(page).toMatch(/<script type="module"[^>]* src="\.?\/?assets\//);
    const info = (await (await fetch(new URL('api/model', address))).json()) as ModelInfo;
    expect(info).toMatchObject({ model: 'model.safetensors', backend: 'wasm', hasRuns: true, grid: { height: 4 } });
    const settings = { ...info.presets[0].settings, seed: 9, count: 1, previewEvery: 0 };
    const events = await allEvents<JobEvent>(await post(address, 'api/generate', { ...settings, classes: [2, 0] }));
    const done = events.at(-1)!;
    if (done.type !== 'done' || done.command === null) throw new Error(JSON.stringify(done));

    const words = done.command
      .replace(/--out samples$/, `--out ${join(folder, 'samples')}`)
      .split(' ')
      .slice(1);
    expect((await runCommand(...words)).code).toBe(0);
    for (const event of events.filter((event): event is FinishedImage => event.type === 'image')) {
      const file = await decodeImage(join(folder, 'samples', event.file));
      expect(await decodeImage(Buffer.from(event.image.png, 'base64'))).toEqual(file);
    }
    child.kill('SIGINT');
    const { code, stderr } = await finished;
    expect([code, stderr]).toEqual([0, expect.stringContaining('SIGINT: stopping')]);
  });

  it.each<[string[], string]>([
    [['--runs', '/nowhere'], '--runs /nowhere is not a folder'],
    [['--host', '203.0.113.1', '--port', '0'], '--host 203.0.113.1 cannot be listened on'],
    [['--allow-host', 'a/b'], '--allow-host must be names of hosts without ports, got "a/b"'],
    [['--ema', '--raw'], '--ema and --raw exclude each other'],
    [['--port', '70000'], '--port must be an integer from 0 to 65535'],
    [['--model', '/nowhere'], '--model /nowhere does not exist'],
  ])('refuses %j before the model is loaded', async (flags, message) => {
    const { code, stderr } = await runCommand('serve', ...flags);
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(stderr).not.toContain('backend');
  });

  it('refuses a port that is in use', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) =>
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port)),
    );
    const { code, stderr } = await runCommand('serve', '--port', String(port));
    expect([code, stderr]).toEqual([1, expect.stringContaining(`--port ${port} is in use by another program`)]);
    await new Promise((resolve) => other.close(resolve));
  });

  it('listens on loopback and takes four images at once unless asked otherwise', () => {
    expect(resolveServe({})).toMatchObject({ host: '127.0.0.1', batch: 4, open: false, queue: 16, timeLimit: 600 });
  });

  it('shows the photographs of the demo for its classes, and no images for other models', async () => {
    const demo = demoWeights('model')!;
    const thumbnails = await makeThumbnails(demo, ['unknown', 'coffee']);
    expect([...thumbnails.keys()]).toEqual([1]);
    expect(await decodeImage(thumbnails.get(1)!)).toMatchObject({ width: 64, height: 64 });
    expect(await makeThumbnails(weights.model, ['coffee'])).toEqual(new Map());
  });

  it('writes command lines that a shell reads as they are meant', () => {
    expect(['runs/model', '--cfg', "it's $HOME", ''].map(shellWord)).toEqual([
      'runs/model',
      '--cfg',
      "'it'\\''s $HOME'",
      "''",
    ]);
  });
});
