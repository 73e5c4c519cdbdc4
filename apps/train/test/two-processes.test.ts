import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockFolder } from '@tb/io';
import { openLatentCache } from '@tb/trainer';
import { expect, it } from 'vitest';
import { makeImages } from './make-images.js';
import { runCommand, startCommand, startSample } from './run-command.js';

const root = mkdtempSync(join(tmpdir(), 'tb-train-two-'));
const images = join(root, 'images');

it('leaves a folder to the process that works in it', { timeout: 120_000 }, async () => {
  await makeImages(images, 2);
  const small = ['--data', images, '--image-size', '16', '--batch', '2', '--backend', 'wasm', '--threads', '1'];
  const run = join(root, 'run');
  expect((await runCommand(['vae', ...small, '--steps', '1', '--out', run])).code).toBe(0);
  const other = join(root, 'other');
  mkdirSync(other);
  const release = [await lockFolder(run), await lockFolder(other)];
  const before = [readdirSync(run, { recursive: true }), readdirSync(other)];
  const refused = await Promise.all([
    startCommand(['vae', '--out', run, '--resume', '--steps', '2']).finished,
    startCommand(['cache', ...small, '--vae', run, '--out', other]).finished,
    startSample(['generate', '--model', run, '--out', other]).finished,
  ]);
  for (const { code, stderr } of refused) {
    expect(stderr).toMatch(
      new RegExp(`^tb-(train|sample): --out .*(run|other) is in use: process ${process.pid} on .* since \\d{4}.*\\n$`),
    );
    expect(code).toBe(1);
  }
  expect([readdirSync(run, { recursive: true }), readdirSync(other)]).toEqual(before);
  for (const leave of release) await leave();
  expect((await runCommand(['vae', '--out', run, '--resume', '--steps', '2'])).code).toBe(0);

  // Processes of one job share a cache.
  const cacheOf = (out: string) => ['cache', ...small, '--vae', run, '--out', out, '--samples-per-shard', '1'];
  const [alone, together] = [join(root, 'alone'), join(root, 'together')];
  expect((await runCommand(cacheOf(alone))).code).toBe(0);
  const share = (index: number) =>
    startCommand([...cacheOf(together), '--processes', '2', '--process', String(index)]).finished;
  const [first, second] = await Promise.all([share(0), share(1)]);
  expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(/^\d+ images and their mirror images in /m) });
  expect(second).toMatchObject({ code: 0, stderr: expect.stringContaining('process 0 puts all together') });
  const [expected, found] = [await openLatentCache(alone), await openLatentCache(together)];
  expect([found.shards, found.length]).toEqual([expected.shards, expected.length]);
  for (let place = 0; place < expected.length; place++)
    expect(await found.read(place, false)).toEqual(await expected.read(place, false));
  await Promise.all([expected.close(), found.close()]);
});
