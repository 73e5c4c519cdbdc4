// Autoencoders of other makers, whose files do not state the scale of their latents.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors } from '@tb/io';
import { writeTorchCheckpoint } from '@tb/test-utils';
import { beforeAll, expect, it } from 'vitest';
import { makeImages } from './make-images.js';
import { runCommand, startSample } from './run-command.js';

const root = mkdtempSync(join(tmpdir(), 'tb-train-foreign-'));
const at = (name: string) => join(root, name);
const small = ['--image-size', '16', '--backend', 'wasm', '--threads', '1'];

async function tbTrain(...args: string[]): Promise<string> {
  const { code, stderr } = await runCommand(args);
  expect(stderr).not.toMatch(/^tb-train:/m);
  expect(code).toBe(0);
  return stderr;
}

beforeAll(async () => {
  await makeImages(at('images'), 3);
  await tbTrain('vae', '--data', at('images'), ...small, '--batch', '2', '--steps', '1', '--out', at('vae'));
  const { tensors } = await readSafetensors(join(at('vae'), 'vae.safetensors'));
  for (const name of ['quant_conv.weight', 'quant_conv.bias'])
    tensors[name] = {
      ...tensors[name],
      data: Float32Array.from(tensors[name].data as Float32Array, (value) => 20 * value),
    };
  const prefixed = Object.entries(tensors).map(([name, tensor]) => [`first_stage_model.${name}`, tensor]);
  await writeTorchCheckpoint(at('foreign.ckpt'), { state_dict: Object.fromEntries(prefixed), epoch: 3 });
}, 120_000);

it('trains with a measured scale, which the model keeps', { timeout: 240_000 }, async () => {
  const model = (...args: string[]) =>
    tbTrain('model', '--data', at('images'), '--vae', at('foreign.ckpt'), ...small, '--batch', '2', ...args);
  const guessed = await model('--steps', '1', '--out', at('guessed'));
  expect(guessed).toMatch(/foreign\.ckpt are read without their prefix first_stage_model\./);
  expect(guessed).toMatch(
    /latent scale 0\.2325 have a standard deviation of .* --latent-scale auto measures the scale/,
  );

  const measured = await model('--steps', '1', '--out', at('measured'), '--latent-scale', 'auto');
  const [, scale] = /foreign\.ckpt: latent scale (\S+), measured/.exec(measured)!;
  const { metadata } = await readSafetensors(join(at('measured'), 'model.safetensors'));
  expect(Number(metadata.latentScale)).toBeCloseTo(Number(scale), 4);
  const resumed = await tbTrain('model', '--resume', '--out', at('measured'), '--steps', '2');
  expect(resumed).not.toMatch(/latent scale/);
  const other = await runCommand(['model', '--resume', '--out', at('measured'), '--steps', '3', '--latent-scale', '2']);
  expect(other.stderr).toMatch(
    /was trained on latents times .*, and those of this run are multiplied by 2: --latent-scale/,
  );

  const grid = at('grid.png');
  const sample = startSample([
    ...['generate', '--model', at('measured'), '--vae', at('foreign.ckpt'), '--num-iter', '1', '--cfg', '1'],
    ...['--backend', 'wasm', '--grid', grid],
  ]);
  expect((await sample.finished).stderr).toMatch(/are read without their prefix first_stage_model\./);
  expect(readFileSync(grid).includes('"latentScale":')).toBe(true);

  const cache = ['cache', '--data', at('images'), '--vae', at('foreign.ckpt'), ...small, '--out', at('cache')];
  expect(await tbTrain(...cache, '--latent-scale', '0.001')).toMatch(/times the latent scale 0\.001 have/);
  expect(JSON.parse(readFileSync(join(at('cache'), 'cache.json'), 'utf8')).latentScale).toBe(0.001);
  const twice = await runCommand(['model', '--cache', at('cache'), '--latent-scale', 'auto', '--out', at('twice')]);
  expect(twice.stderr).toMatch(/--latent-scale does nothing with --cache/);
  const bad = await runCommand(['model', '--latent-scale', '-1', '--out', at('bad')]);
  expect(bad.stderr).toMatch(/--latent-scale must be a positive number or auto/);
});
