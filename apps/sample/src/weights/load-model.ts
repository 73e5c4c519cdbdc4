import { existsSync, statSync } from 'node:fs';
import { UsageError } from '@tb/command-line';
import { fileSha256 } from '@tb/io';
import { ConfigNeededError } from '@tb/tokenbridge';
import { type LoadedModel, type LoadedVae, loadModel, loadVaeFile, type WeightSet } from '@tb/trainer';
import { downsamplingFactor } from '@tb/vae';
import { demoWeights } from './demo-weights.js';
import { readModelConfig } from './model-config.js';

/**
 * Loads what `--model` names, or the weights of the demo.
 *
 * @param configPath - what `--model-config` names
 * @throws UsageError when nothing is named and there are no weights of the demo; what `loadModel` throws
 */
export async function loadNamedModel(
  named: string | undefined,
  set: WeightSet | undefined,
  configPath?: string,
): Promise<LoadedModel> {
  const path = named ?? demoWeights('model.safetensors');
  if (path === undefined)
    throw new UsageError('--model must name weights: a run of tb-train, a .safetensors file or an official .pth');
  if (configPath !== undefined && existsSync(path) && statSync(path).isDirectory())
    throw new UsageError(
      `--model-config does nothing for a run of tb-train such as ${path}, which has its configuration`,
    );
  const config = configPath === undefined ? undefined : await readModelConfig(configPath);
  try {
    return await loadModel(path, { set, config });
  } catch (error) {
    if (error instanceof ConfigNeededError)
      throw new UsageError(`--model ${path} needs --model-config with its configuration: ${error.reason}`);
    throw error;
  }
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

/** Height and width in pixels of a model's images. */
export function imageSizeOf({ config }: LoadedModel, vae: LoadedVae): { height: number; width: number } {
  const factor = downsamplingFactor(vae.config);
  return { height: config.latent.height * factor, width: config.latent.width * factor };
}
