import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockFolder } from '@tb/io';
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
});
