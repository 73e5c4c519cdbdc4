// A run that continues from other weights means the same by its labels and latents, or reports that it does not.
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, withContentHash, writeSafetensors } from '@tb/io';
import { beforeAll, expect, it } from 'vitest';
import { makeImages } from './make-images.js';
import { runCommand } from './run-command.js';

const root = mkdtempSync(join(tmpdir(), 'tb-train-same-'));
const images = join(root, 'images');
const at = (name: string) => join(root, name);
const small = ['--image-size', '16', '--batch', '2', '--backend', 'wasm', '--threads', '1'];

async function tbTrain(...args: string[]): Promise<string> {
  const { code, stderr } = await runCommand(args);
  expect(stderr).not.toMatch(/^tb-train:/m);
  expect(code).toBe(0);
  return stderr;
}

async function refusal(...args: string[]): Promise<string> {
  const { code, stderr } = await runCommand(args);
  expect(code).toBe(1);
  return stderr;
}

beforeAll(async () => {
  await makeImages(images, 3); // discs and stripes
  await tbTrain('vae', '--data', images, ...small, '--steps', '1', '--out', at('vae'));
  await tbTrain('model', '--data', images, '--vae', at('vae'), ...small, '--steps', '1', '--out', at('model'));
}, 120_000);

it('refuses to resume with other classes or another autoencoder, unless asked to', { timeout: 120_000 }, async () => {
  const resume = (step: number) => ['model', '--resume', '--out', at('model'), '--steps', `${step}`];
  renameSync(join(images, 'stripes'), join(images, 'bars'));
  expect(await refusal(...resume(2))).toMatch(
    /--resume: .*step-00000001 was trained on the classes discs, stripes, and the data has bars, discs; --any-classes/,
  );
  renameSync(join(images, 'bars'), join(images, 'stripes'));

  const vae = join(at('vae'), 'vae.safetensors');
  const first = readFileSync(vae);
  const { tensors, metadata } = await readSafetensors(vae);
  tensors['quant_conv.bias'].data[0] = 1; // as if another one had been trained into its folder
  await writeSafetensors(vae, tensors, { metadata: withContentHash(tensors, metadata) });
  const other = /--resume: .* was trained with the autoencoder whose SHA-256 begins with \w{12}, .*; --any-vae/;
  expect(await refusal(...resume(2))).toMatch(other);
  rmSync(join(images, 'discs', '0.png'));
  expect(await tbTrain(...resume(2), '--any-vae')).toMatch(
    /^the data has 5 images, and had 6 images so far: the order/m,
  );
  writeFileSync(vae, first);
  expect(await refusal(...resume(3))).toMatch(other); // what was accepted once is not stored
});
