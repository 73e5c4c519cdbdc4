import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertExists, UsageError } from '@tb/command-line';
import { type LoadedVae, loadVaeFile } from '@tb/command-line/compute';
import { fileSha256 } from '@tb/io';
import {
  ConfigNeededError,
  type LoadOptions,
  loadTokenBridge,
  type TokenBridge,
  type TokenBridgeConfig,
} from '@tb/tokenbridge';
import { readWeightsInfo, type WeightsInfo } from '@tb/trainer';
import { downsamplingFactor } from '@tb/vae';
import { demoWeights } from './demo-weights.js';
import { readModelConfig } from './model-config.js';
import { configOfCheckpoint, findCheckpoint, isCheckpoint, optionsOfRun, readProgress } from './run-folder.js';

/** Which of two sets of weights: the moving average, or the weights as training left them. */
export type WeightSet = 'ema' | 'raw';

export type LoadedModel = {
  params: TokenBridge;
  config: TokenBridgeConfig;
  /** The file that was read. */
  path: string;
  sha256: string;
  /** Absent for files with one set of weights. */
  set?: WeightSet;
  classNames?: string[];
  /** SHA-256 of the autoencoder it was trained with, where the weights tell. */
  vaeSha256?: string;
  /** Autoencoders near it, for when --vae does not say. */
  vaeCandidates: string[];
};

/**
 * Loads what --model names: a run or a checkpoint of tb-train, a `.safetensors` file, or an official `.pth`. Without a name,
 * the weights of the demo.
 *
 * @param set - default: the average
 * @param configPath - configuration for a file that brings none and whose shapes do not tell it
 * @throws UsageError when it is missing or does not have the set; the loader's error when weights do not fit
 */
export async function loadModel(
  named: string | undefined,
  set: WeightSet | undefined,
  configPath?: string,
): Promise<LoadedModel> {
  const path = named ?? demoWeights('model.safetensors');
  if (path === undefined)
    throw new UsageError('--model must name weights: a run of tb-train, a .safetensors file or an official .pth');
  assertExists('--model', path);
  if (!statSync(path).isDirectory()) return loadFile(path, set, configPath);
  if (configPath !== undefined)
    throw new UsageError(
      `--model-config does nothing for a run of tb-train such as ${path}, which brings its configuration`,
    );
  const finished = finishedWeights(path);
  if (set !== 'raw' && !isCheckpoint(path) && existsSync(finished)) return loadFile(finished, undefined);
  return loadCheckpoint(path, set ?? 'ema');
}

/** The averaged weights that a run ends with. */
const finishedWeights = (run: string) => join(run, 'model.safetensors');

async function loadFile(path: string, set: WeightSet | undefined, configPath?: string): Promise<LoadedModel> {
  const hasTwoSets = !path.endsWith('.safetensors');
  if (!hasTwoSets && set !== undefined)
    throw new UsageError(`--${set} chooses between the two sets of weights of a checkpoint, and ${path} holds one`);
  const { sha256, vaeConfig, classNames, vaeSha256 } = await readWeightsInfo(path);
  if (vaeConfig) throw new UsageError(`--model ${path} holds an autoencoder, not a TokenBridge model`);
  const chosen = hasTwoSets ? (set ?? 'ema') : undefined;
  const given = configPath === undefined ? undefined : await readModelConfig(configPath);
  const { params, config } = await loadWeights(path, { ema: chosen === 'ema', config: given });
  const folder = dirname(path);
  const vaeCandidates = await listVaeCandidates(isCheckpoint(folder) ? runOf(folder) : folder);
  return { params, config, path, sha256, set: chosen, classNames, vaeSha256, vaeCandidates };
}

async function loadWeights(path: string, options: LoadOptions) {
  try {
    return await loadTokenBridge(path, options);
  } catch (error) {
    if (error instanceof ConfigNeededError)
      throw new UsageError(`--model ${path} needs --model-config with its configuration: ${error.reason}`);
    throw error;
  }
}

async function loadCheckpoint(folder: string, set: WeightSet): Promise<LoadedModel> {
  const checkpoint = await findCheckpoint(folder);
  const path = join(checkpoint, set === 'ema' ? 'ema.safetensors' : 'model.safetensors');
  const progress = await readProgress(checkpoint);
  const { sha256, ...own } = await readWeightsInfo(path);
  const config = own.modelConfig ?? (await configOfCheckpoint(path, progress));
  const { params } = await loadTokenBridge(path, { config });
  const run = runOf(checkpoint);
  const { classNames, vaeSha256 } = own.classNames ? own : await infoOfFinishedRun(run);
  return { params, config, path, sha256, set, classNames, vaeSha256, vaeCandidates: await listVaeCandidates(run) };
}

const runOf = (checkpoint: string) => join(checkpoint, '..', '..');

/** Checkpoints of earlier versions say little; the weights that their run ended with say the rest. */
async function infoOfFinishedRun(run: string): Promise<WeightsInfo> {
  return existsSync(finishedWeights(run)) ? readWeightsInfo(finishedWeights(run)) : {};
}

/** Where the autoencoder of a run may be: where its options say, beside it, or in a run of the usual name. */
async function listVaeCandidates(run: string): Promise<string[]> {
  const { vae } = await optionsOfRun(run);
  const named = typeof vae === 'string' ? [vae, join(vae, 'vae.safetensors')] : [];
  const usual = [join(run, 'vae.safetensors'), join(run, '..', 'vae', 'vae.safetensors')];
  return [...named, ...usual].filter((path) => existsSync(path) && statSync(path).isFile());
}

/**
 * Loads the autoencoder for a model: the one that --vae names, or one near the model.
 *
 * @param anyVae - accept another autoencoder than the model was trained with
 * @throws UsageError when there is none, it is another one, or its latents are not the model's
 */
export async function loadVaeFor(model: LoadedModel, named: string | undefined, anyVae: boolean): Promise<LoadedVae> {
  const vae = await loadVaeFile(named ?? (await likeliestVae(model)));
  if (!anyVae && model.vaeSha256 !== undefined && model.vaeSha256 !== vae.sha256)
    throw new UsageError(
      `--vae ${vae.path} is not the autoencoder that ${model.path} was trained with: its SHA-256 begins with ` +
        `${vae.sha256.slice(0, 12)}, and should with ${model.vaeSha256.slice(0, 12)}; --any-vae uses it all the same`,
    );
  const { channels } = model.config.latent;
  if (vae.config.latentChannels !== channels)
    throw new UsageError(
      `--vae ${vae.path} makes latents of ${vae.config.latentChannels} channels, and the model works on ${channels}`,
    );
  return vae;
}

/** Of the autoencoders near a model the one that it was trained with, or else the first. */
async function likeliestVae({ vaeCandidates, vaeSha256 }: LoadedModel): Promise<string | undefined> {
  for (const path of vaeCandidates) if ((await fileSha256(path)) === vaeSha256) return path;
  return vaeCandidates[0];
}

/** Height and width in pixels of a model's pictures. */
export function pictureSize({ config }: LoadedModel, vae: LoadedVae): { height: number; width: number } {
  const factor = downsamplingFactor(vae.config);
  return { height: config.latent.height * factor, width: config.latent.width * factor };
}
