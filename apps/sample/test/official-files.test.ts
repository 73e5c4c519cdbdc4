import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeImage } from '@tb/images';
import { type HostTensor, readSafetensors } from '@tb/io';
import { readParameters } from '@tb/nn';
import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { goldenJson, goldenPath, writeTorchCheckpoint } from '@tb/test-utils';
import { initTokenBridge, presets, type TokenBridgeConfig } from '@tb/tokenbridge';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand, startCommand } from './run-command.js';

// Model and autoencoder of the golden set fit each other: 64 × 64 pixels, 4 × 4 × 16 latents.
const checkpoint = goldenPath('tokenbridge', 'checkpoint-last.pth');
const vae = goldenPath('vae', 'vae.pth');
const quick = ['--backend', 'wasm', '--num-iter', '2', '--seed', '3'];
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tb-sample-official-'));
  await useBackend('wasm');
});
afterAll(() => rm(root, { recursive: true, force: true }));

const pixelsOf = async (folder: string) => (await decodeImage(join(folder, 'class-0001-000000.png'))).data;

describe('tb-sample with official files', () => {
  it('generates from averaged and raw weights, with the arguments of the official code', async () => {
    const config = join(root, 'arguments.json');
    await writeFile(config, JSON.stringify(goldenJson('tokenbridge', 'config.json').config));
    const generate = ['generate', '--model', checkpoint, '--vae', vae, '--model-config', config, ...quick];
    const folders = ['average', 'again', 'raw'].map((name) => join(root, name));
    const images = (folder: string) => ['--classes', '1,4', '--out', folder];
    const average = await startCommand([...generate, ...images(folders[0])]).finished;
    const again = await runCommand(...generate, ...images(folders[1]), '--ema');
    const raw = await runCommand(...generate, ...images(folders[2]), '--raw');
    expect([average.code, again.code, raw.code]).toEqual([0, 0, 0]);
    expect(average.stderr).toMatch(/checkpoint-last\.pth: averaged weights, 10 classes without names$/m);
    expect(raw.stderr).toMatch(/checkpoint-last\.pth: weights that are not averaged, /);
    expect(average.stdout).toContain(`2 images in ${folders[0]}`);
    const [ema, same, model] = await Promise.all(folders.map(pixelsOf));
    expect(ema).toHaveLength(64 * 64 * 3);
    expect(same).toEqual(ema);
    expect(model).not.toEqual(ema);
    const { stdout } = await runCommand('inspect', join(folders[2], 'class-0001-000000.png'));
    expect(stdout).toMatch(/"weights": "raw"/);
  });

  it('reads the configuration from the shapes of the weights, also with other classes and levels', async () => {
    const model = await writeOfficialModel(join(root, 'own.pth'));
    const grid = join(root, 'own.png');
    const generate = ['generate', '--model', model, '--vae', vae, ...quick, '--grid', grid];
    const { code, stdout, stderr } = await runCommand(...generate);
    expect(stderr).not.toMatch(/^tb-sample:/m);
    expect([code, stdout]).toEqual([0, `overview: ${grid}\n`]);
    const unknown = await runCommand(...generate, '--classes', '2-5');
    expect(unknown.stderr).toMatch(/the model has the classes 0 to 4, got "2-5"/);
    const narrow = await runCommand('generate', '--model', checkpoint, '--vae', vae, ...quick);
    expect(narrow.stderr).toMatch(
      /--model .*\.pth needs --model-config.*how many attention heads a backbone 32 wide has/,
    );
  });

  it('reports a model and an autoencoder that do not fit, or are exchanged', async () => {
    const other = join(root, 'other-vae.ckpt');
    const { tensors } = await readSafetensors(goldenPath('vae', 'vae.safetensors'));
    const { 'decoder.conv_in.weight': _, ...others } = tensors;
    await writeTorchCheckpoint(other, { state_dict: others });
    const image = goldenPath('crop', 'astronaut_64.png');
    const reconstruct = (weights: string) => runCommand('reconstruct', image, '--backend', 'wasm', '--vae', weights);
    const swapped = await reconstruct(checkpoint);
    expect(swapped.stderr).toMatch(/checkpoint-last\.pth: .*no autoencoder has these weights/);
    const damaged = await reconstruct(other);
    expect(damaged.stderr).toMatch(/missing decoder\.conv_in\.weight/);
    const model = await runCommand('generate', '--model', vae, '--vae', vae, ...quick);
    expect(model.stderr).toMatch(/^tb-sample: --model .*vae\.pth holds an autoencoder, not a TokenBridge model/m);
    expect([swapped.code, damaged.code, model.code]).toEqual([1, 1, 1]);
  });
});

/** A checkpoint in the form of the released code: a known width, and classes, levels and depths that no preset has. */
async function writeOfficialModel(path: string): Promise<string> {
  const config: TokenBridgeConfig = {
    ...presets.tiny,
    latent: { height: 4, width: 4, channels: 16 },
    classes: 5,
    quantizer: { ...presets.tiny.quantizer, levels: 12 },
    backbone: {
      ...presets.tiny.backbone,
      encoder: { ...presets.tiny.backbone.encoder, depth: 1 },
      decoder: { ...presets.tiny.backbone.decoder, depth: 1 },
    },
    head: { ...presets.tiny.head, width: 32, depth: 1, heads: 2 },
  };
  const key = randomKey(7);
  const params = initTokenBridge(key, config);
  const weights: Record<string, HostTensor> = await readParameters(params);
  disposeTree([params, key]);
  await writeTorchCheckpoint(path, { model: weights, model_ema: weights, epoch: 1 });
  return path;
}
