// Finds and loads the weights that options name.
import { existsSync, statSync } from 'node:fs';
import { UsageError } from '@tb/command-line';
import { FileFormatError, fileSha256, jsonShape, readJson, reasonOf } from '@tb/io';
import {
  assertTokenBridgeConfig,
  ConfigNeededError,
  configFromMar,
  configFromOfficial,
  type ImageModelConfig,
  type MarArguments,
  modelOf,
  type OfficialArguments,
  type TokenBridge,
  type TokenBridgeConfig,
} from '@tb/tokenbridge';
import {
  assertSameVae,
  type LoadedModel,
  type LoadedVae,
  loadModel,
  loadVaeFile,
  vaeOfModel,
  type WeightSet,
} from '@tb/trainer';
import { downsamplingFactor } from '@tb/vae';
import { demoWeights } from './options.js';

/**
 * Finds the path of the model: the one that --model names, or the demo's weights.
 *
 * @throws UsageError when it does not exist, or nothing is named and there are no weights of the demo
 */
export function findModel({ model, modelConfig }: { model?: string; modelConfig?: string }): string {
  const path = model ?? demoWeights('model');
  if (path === undefined)
    throw new UsageError(
      '--model must name weights: a run folder of tb-train, a .safetensors file or an official .pth',
    );
  if (!existsSync(path)) throw new UsageError(`--model ${path} does not exist`);
  if (modelConfig !== undefined && statSync(path).isDirectory())
    throw new UsageError(
      `--model-config does nothing for a run of tb-train such as ${path}, which has its configuration`,
    );
  return path;
}

/**
 * Loads a model.
 *
 * @param set - which of two sets of weights; a file of one set takes no choice
 * @throws UsageError when --model-config is needed or cannot be used; what `loadModel` throws
 */
export async function openModel(
  path: string,
  { modelConfig, set }: { modelConfig?: string; set?: WeightSet },
): Promise<LoadedModel> {
  const config = modelConfig === undefined ? undefined : await readModelConfig(modelConfig);
  try {
    return await loadModel(path, { set, config });
  } catch (error) {
    if (error instanceof ConfigNeededError)
      throw new UsageError(`--model ${path} needs --model-config with its configuration: ${error.reason}`);
    throw error;
  }
}

/** A model that works on tokens. */
export type TokenModel = LoadedModel & { params: TokenBridge; config: TokenBridgeConfig };

/** Loads a model for the page, which shows tokens. @throws UsageError when the model has none; what `openModel` throws */
export async function openTokenModel(path: string, options: Parameters<typeof openModel>[1]): Promise<TokenModel> {
  const loaded = await openModel(path, options);
  const model = modelOf(loaded.params, loaded.config);
  if (!model.isMar) return { ...loaded, params: model.params, config: model.config };
  throw new UsageError(
    `--model ${path} has a diffusion head, and the page shows tokens: tb-sample generate makes images with it`,
  );
}

/** Reads JSON of a model's configuration, or of the arguments with which the official code, or MAR's, makes the model. */
async function readModelConfig(path: string): Promise<ImageModelConfig> {
  try {
    const content: unknown = await readJson(path, jsonShape.record(jsonShape.anything));
    const config = content as ImageModelConfig;
    if (config.latent === undefined)
      return 'diffloss_w' in (content as object)
        ? configFromMar(content as MarArguments)
        : configFromOfficial(content as OfficialArguments);
    assertTokenBridgeConfig(config);
    return config;
  } catch (error) {
    if (error instanceof FileFormatError) throw new UsageError(`--model-config ${path}: ${error.reason}`);
    const isOfSystem = (error as NodeJS.ErrnoException).code !== undefined; // its message names the path
    throw new UsageError(`--model-config ${isOfSystem ? '' : `${path} cannot be used: `}${reasonOf(error)}`);
  }
}

/**
 * Loads the autoencoder for a model: the one that --vae names, or one near the model.
 *
 * @param anyVae - accept another autoencoder than the model was trained with
 * @param latentScale - factor of its latents; default: the one that the model was trained with
 * @throws InputError when there is none, it is another one, or its latents are not the model's
 */
export async function openVaeFor(
  model: LoadedModel,
  { vae: named, anyVae, latentScale }: { vae?: string; anyVae: boolean; latentScale?: number },
): Promise<LoadedVae> {
  const file = await loadVaeFile(named ?? (await likeliestVae(model)));
  const vae = vaeOfModel(latentScale === undefined ? model : { ...model, latentScale }, file);
  assertSameVae(model, vae, anyVae);
  return vae;
}

/** Finds the autoencoder near a model that it was trained with, or else the first one there. */
async function likeliestVae({ vaeCandidates, vaeSha256 }: LoadedModel): Promise<string | undefined> {
  for (const path of vaeCandidates) if ((await fileSha256(path)) === vaeSha256) return path;
  return vaeCandidates[0];
}

/** Computes height and width in pixels of a model's images. */
export function imageSizeOf({ config }: LoadedModel, vae: LoadedVae): { height: number; width: number } {
  const factor = downsamplingFactor(vae.config);
  return { height: config.latent.height * factor, width: config.latent.width * factor };
}
