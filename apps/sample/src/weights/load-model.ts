import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertExists, UsageError } from '@tb/command-line';
import { type LoadedVae, loadVaeFile } from '@tb/command-line/compute';
import { loadTokenBridge, type TokenBridge, type TokenBridgeConfig } from '@tb/tokenbridge';
import { readWeightsInfo } from '@tb/trainer';
import { downsamplingFactor, type vaePresets } from '@tb/vae';
import { demoWeights } from './demo-weights.js';
import { readModelConfig } from './model-config.js';
import { configOfCheckpoint, findCheckpoint, isCheckpoint, readProgress } from './run-folder.js';

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
  /** Where the autoencoder is to be looked for when --vae does not say. */
  vaeCandidates: string[];
};

/**
 * Loads what --model names: a run or a checkpoint of tb-train, a `.safetensors` file, or an official `.pth`. Without a name,
 * the weights of the demo.
 *
 * @param set - default: the average
 * @param configPath - configuration for a file that brings none and has no size of the paper
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
  const finished = join(path, 'model.safetensors');
  if (set !== 'raw' && !isCheckpoint(path) && existsSync(finished)) return loadFile(finished, undefined);
  return loadCheckpoint(path, set ?? 'ema');
}

async function loadFile(path: string, set: WeightSet | undefined, configPath?: string): Promise<LoadedModel> {
  const hasTwoSets = !path.endsWith('.safetensors');
  if (!hasTwoSets && set !== undefined)
    throw new UsageError(`--${set} chooses between the two sets of weights of a checkpoint, and ${path} holds one`);
  const { sha256, vaeConfig, classNames, vaeSha256 } = await readWeightsInfo(path);
  if (vaeConfig) throw new UsageError(`--model ${path} holds an autoencoder, not a TokenBridge model`);
  const chosen = hasTwoSets ? (set ?? 'ema') : undefined;
  const { params, config } = await loadTokenBridge(path, {
    ema: chosen === 'ema',
    config: configPath === undefined ? undefined : await readModelConfig(configPath),
  });
  const vaeCandidates = [join(dirname(path), 'vae.safetensors'), join(dirname(path), '..', 'vae', 'vae.safetensors')];
  return { params, config, path, sha256, set: chosen, classNames, vaeSha256, vaeCandidates };
}

async function loadCheckpoint(folder: string, set: WeightSet): Promise<LoadedModel> {
  const checkpoint = await findCheckpoint(folder);
  const path = join(checkpoint, set === 'ema' ? 'ema.safetensors' : 'model.safetensors');
  const progress = await readProgress(checkpoint);
  const config = await configOfCheckpoint(path, progress);
  const { params } = await loadTokenBridge(path, { config });
  const finished = join(checkpoint, '..', '..', 'model.safetensors');
  const told = existsSync(finished) ? await readWeightsInfo(finished) : undefined;
  const { sha256 } = await readWeightsInfo(path);
  const { vae } = progress.config;
  const { classNames, vaeSha256 } = told ?? {};
  return {
    params,
    config,
    path,
    sha256,
    set,
    classNames,
    vaeSha256,
    vaeCandidates: typeof vae === 'string' ? [vae] : [],
  };
}

/**
 * Loads the autoencoder for a model: the one that --vae names (a file, or a run of tb-train), or the one beside the model.
 *
 * @param anyVae - accept another autoencoder than the model was trained with
 * @throws UsageError when there is none, it is another one, or its latents are not the model's
 */
export async function loadVaeFor(
  model: LoadedModel,
  named: string | undefined,
  preset: keyof typeof vaePresets | undefined,
  anyVae: boolean,
): Promise<LoadedVae & { path: string }> {
  const path = vaePath(named) ?? model.vaeCandidates.find((candidate) => existsSync(candidate));
  const vae = await loadVaeFile(path, preset);
  if (!anyVae && model.vaeSha256 !== undefined && model.vaeSha256 !== vae.sha256)
    throw new UsageError(
      `--vae ${path} is not the autoencoder that ${model.path} was trained with: its SHA-256 begins with ` +
        `${vae.sha256.slice(0, 12)}, and should with ${model.vaeSha256.slice(0, 12)}; --any-vae uses it all the same`,
    );
  const { channels } = model.config.latent;
  if (vae.config.latentChannels !== channels)
    throw new UsageError(
      `--vae ${path} makes latents of ${vae.config.latentChannels} channels, and the model works on ${channels}`,
    );
  return { ...vae, path: path! };
}

/** The file that --vae means: a run of tb-train holds its weights as `vae.safetensors`. */
export function vaePath(named: string | undefined): string | undefined {
  if (named === undefined || !existsSync(named) || !statSync(named).isDirectory()) return named;
  const inside = join(named, 'vae.safetensors');
  if (!existsSync(inside))
    throw new UsageError(`--vae ${named} holds no vae.safetensors; tb-train vae writes it when it is finished`);
  return inside;
}

/** Height and width in pixels of a model's pictures. */
export function pictureSize({ config }: LoadedModel, vae: LoadedVae): { height: number; width: number } {
  const factor = downsamplingFactor(vae.config);
  return { height: config.latent.height * factor, width: config.latent.width * factor };
}
