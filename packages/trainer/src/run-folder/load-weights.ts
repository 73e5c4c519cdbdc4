// Models and autoencoders as options of the command lines name them: a run, a checkpoint, or a file of weights.
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { InputError, MissingPartError, printable, printMessage } from '@tb/io';
import { type ImageModel, type ImageModelConfig, loadImageModel } from '@tb/tokenbridge';
import { describeVae, loadVae, type Vae, type VaeConfig } from '@tb/vae';
import { findWeights, openRun, type RunWeights, type WeightSet } from './open-run.js';
import { readWeightsInfo } from './weights-info.js';

/** A model that was loaded, and what its file states about it. */
export type LoadedModel = {
  params: ImageModel;
  config: ImageModelConfig;
  /** The file that was read. */
  path: string;
  sha256: string;
  /** Absent for a file that holds one set of weights. */
  set?: WeightSet;
  /** Step of the checkpoint that was read; absent for other files. */
  step?: number;
  /** A checkpoint of the same run that is newer than the weights that it finished with. */
  newerCheckpoint?: string;
  /** In the order of their labels, where the file has them. */
  classNames?: string[];
  /** Side in pixels of the images that it was trained on, where the file states it. */
  imageSize?: number;
  /** SHA-256 of the autoencoder that it was trained with, where the file states it. */
  vaeSha256?: string;
  /** The factor of that autoencoder's latents, where the file states it. */
  latentScale?: number;
  /** Autoencoders near it, the likeliest first. */
  vaeCandidates: string[];
  /** Prefix of the official names of the weights in the file, `module.` for instance; usually empty. */
  prefix: string;
};

/** Options of `loadModel`. */
export type LoadModelOptions = {
  /** Which of two sets of weights (default: the average). A file of one set takes no choice. */
  set?: WeightSet;
  /** For an official checkpoint whose shapes do not determine it. */
  config?: ImageModelConfig;
};

/**
 * Loads the model that `--model` names: a run of tb-train, one of its checkpoints, a `.safetensors` file, or an official
 * `.pth`. The caller owns its tensors.
 *
 * @throws InputError when it is missing, is not a model, or does not have the set; what `loadImageModel` throws when weights
 *   do not fit
 */
export async function loadModel(path: string, { set, config }: LoadModelOptions = {}): Promise<LoadedModel> {
  if (!existsSync(path)) throw refuse(`--model ${path} does not exist`);
  const isFolder = statSync(path).isDirectory();
  const weights = isFolder ? await openRun(path).weights(set ?? 'ema') : fileWeights(path, set);
  reportReading(weights.path);
  const { vaeConfig, modelConfig, ...info } = await readWeightsInfo(weights.path);
  if (vaeConfig) throw refuse(`--model ${weights.path} holds an autoencoder, not a TokenBridge model`);
  if (isFolder && !modelConfig) throw refuse(`--model ${path} is not a run of tb-train model`);
  const isOfficial = !weights.path.endsWith('.safetensors');
  const ema = isOfficial && weights.set === 'ema';
  const vaeCandidates = await openRun(dirname(weights.path)).vaeCandidates();
  const loaded = await loadImageModel(weights.path, { ema, config }).catch((error) =>
    refuseWithout(error, weights.path),
  );
  return { ...loaded, ...weights, ...info, vaeCandidates };
}

/** Files from this size take seconds to read and to hash. */
const large = 2 ** 28;

function reportReading(path: string): void {
  const { size } = statSync(path);
  if (size >= large) printMessage(printable(`reading ${path} (${(size / 1e9).toFixed(1)} GB)`));
}

const refuse = (what: string) => new InputError('loadModel', what);

/** What to do about a checkpoint without averaged weights. */
async function refuseWithout(error: Error, path: string): Promise<never> {
  if (!(error instanceof MissingPartError)) throw error;
  const isVae = await describeVae(path).then(
    () => true,
    () => false,
  );
  if (isVae) throw refuse(`--model ${path} holds an autoencoder, not a TokenBridge model`);
  throw refuse(`--model ${path} holds no averaged weights (${error.part}): --raw takes those that training left`);
}

/** The autoencoder of a model, with the scale of its latents with which the model was trained. */
export function vaeOfModel({ latentScale }: LoadedModel, vae: LoadedVae): LoadedVae {
  return latentScale === undefined ? vae : { ...vae, config: { ...vae.config, latentScale } };
}

/** A line about the names in a file of weights, where they had a prefix. */
export function prefixLine({ path, prefix }: Pick<LoadedVae, 'path' | 'prefix'>): string | undefined {
  return prefix === ''
    ? undefined
    : `the names of the weights in ${printable(path)} are read without their prefix ${prefix}`;
}

/** Names of the classes in the order of their labels; their numbers where the weights have no names. */
export function classNamesOf({ classNames, config }: LoadedModel): string[] {
  return classNames ?? Array.from({ length: config.classes }, (_, label) => String(label));
}

/** Official checkpoints hold both sets of weights, `.safetensors` files one. */
function fileWeights(path: string, set: WeightSet | undefined): Omit<RunWeights, 'set'> & { set?: WeightSet } {
  if (!path.endsWith('.safetensors')) return { path, set: set ?? 'ema' };
  if (set === undefined) return { path };
  throw refuse(`--${set} chooses between the two sets of weights of a checkpoint, and ${path} holds one`);
}

/** An autoencoder that was loaded, and what its file states about it. */
export type LoadedVae = {
  params: Vae;
  config: VaeConfig;
  /** The file that was read. */
  path: string;
  sha256: string;
  /** Side in pixels of the images that it was trained on, where the file states it. */
  imageSize?: number;
  /** Prefix of the official names of the weights in the file, `first_stage_model.` for instance; usually empty. */
  prefix: string;
  /** Whether the file states the scale of its latents. Files of other makers do not: their `config` has that of kl16. */
  statesScale: boolean;
};

/**
 * The file of the autoencoder that `--vae` names, without reading it.
 *
 * @throws InputError when nothing is named, or it is missing
 */
export function findVae(named: string | undefined): string {
  if (named !== undefined) return findWeights('--vae', named, 'vae');
  throw new InputError('findVae', '--vae must name the weights of an autoencoder; tb-train vae makes them');
}

/**
 * Loads the autoencoder that `--vae` names: a run of tb-train, or a file. A file of tb-train has its configuration; that of
 * other files follows from the shapes of their weights. The caller owns its tensors.
 *
 * @throws InputError when nothing is named, it is missing, or it holds something else; what `loadVae` throws when weights do
 *   not fit
 */
export async function loadVaeFile(named: string | undefined): Promise<LoadedVae> {
  const path = findVae(named);
  reportReading(path);
  const { vaeConfig, modelConfig, imageSize, sha256 } = await readWeightsInfo(path);
  if (modelConfig) throw new InputError('loadVaeFile', `--vae ${path} holds a TokenBridge model, not an autoencoder`);
  const described = vaeConfig ? { config: vaeConfig, prefix: '' } : await describeVae(path);
  const statesScale = vaeConfig !== undefined;
  return { params: await loadVae(path, described.config), ...described, path, sha256, imageSize, statesScale };
}

/**
 * Makes sure that a model gets the autoencoder that it was trained with.
 *
 * @param anyVae - accept another one whose latents have as many channels
 * @throws InputError when it is another one, as far as the model's weights state it, or its latents are not the model's
 */
export function assertSameVae(model: LoadedModel, vae: LoadedVae, anyVae: boolean): void {
  const { vaeSha256, path, config } = model;
  if (!anyVae && vaeSha256 !== undefined && vaeSha256 !== vae.sha256)
    throw new InputError(
      'assertSameVae',
      `--vae ${vae.path} is not the autoencoder that ${path} was trained with: its SHA-256 begins with ` +
        `${vae.sha256.slice(0, 12)}, and should with ${vaeSha256.slice(0, 12)}; --any-vae uses it all the same`,
    );
  const { channels } = config.latent;
  if (vae.config.latentChannels !== channels)
    throw new InputError(
      'assertSameVae',
      `--vae ${vae.path} makes latents of ${vae.config.latentChannels} channels, and the model works on ${channels}`,
    );
}
