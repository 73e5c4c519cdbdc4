import { mkdtempSync, readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeImages } from './make-images.js';
import { runCommand } from './run-command.js';

const folder = mkdtempSync(join(tmpdir(), 'tb-train-eval-'));
const images = join(folder, 'images');
const common = ['--data', images, '--batch', '2', '--backend', 'wasm', '--threads', '1'];
const file = (command: string, name: string) => join(folder, command, `${name}.safetensors`);

async function tbTrain(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand([command, ...common, ...args]);
  expect(stderr).not.toMatch(/^tb-train:/m);
  expect(code).toBe(0);
  return stdout;
}

it('measures a model on features trained on its data, and judges classes', { timeout: 240_000 }, async () => {
  await makeImages(images, 5);
  const run = (command: string, size: number, ...args: string[]) =>
    tbTrain(command, '--image-size', `${size}`, '--steps', '2', '--out', join(folder, command), ...args);
  await run('features', 32);
  await run('vae', 16);
  await run('model', 16, '--vae', file('vae', 'vae'));
  const models = ['--vae', file('vae', 'vae'), '--model', file('model', 'model')];
  const features = ['--features', file('features', 'features')];
  const json = join(folder, 'report.json');
  const sizes = ['--samples', '6', '--num-iter', '2']; // of the model's images
  const output = await tbTrain('eval', ...models, ...features, ...sizes, '--json', json);
  expect(output).toMatch(/Fréchet distance of small features +\d/);
  expect(output).toMatch(/class as asked +generated/);
  const report = JSON.parse(readFileSync(json, 'utf8'));
  expect(report).toMatchObject({
    distanceName: 'Fréchet distance of small features',
    samples: { count: 6 },
    reference: { count: 6 },
    agreement: { generated: { images: 6 } },
    settings: { numIter: 2, cfg: 1, seed: 0 },
  });
  expect(Number.isFinite(report.frechetDistance)).toBe(true);
  const both = await runCommand(['eval', ...common, ...models, ...features, '--weights', 'inception.pth']);
  expect(both.stderr).toMatch(/--weights does nothing with --features/);
  const others = join(folder, 'others');
  await makeImages(others, 1);
  await rename(join(others, 'discs'), join(others, 'dots'));
  const held = ['--data', others, '--validation', others];
  const otherClasses = await runCommand(['eval', ...common, ...models, ...features, ...held]);
  expect(otherClasses.stderr).toMatch(/held-out images of --data must have the classes of the model/);
  const missing = await runCommand(['eval', ...common, ...models, '--features', join(folder, 'none.safetensors')]);
  expect(missing.stderr).toMatch(/--features .*none\.safetensors does not exist/);
});
