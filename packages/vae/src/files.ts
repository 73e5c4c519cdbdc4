import {
  assertContentHash,
  type ByteInput,
  type DType,
  nameOf,
  openWeights,
  withContentHash,
  writeSafetensors,
} from '@tb/io';
import { loadParameters, readParameters } from '@tb/nn';
import { type VaeConfig, vaeConfigOfShapes } from './config.js';
import { type Vae, vaeShapes } from './vae.js';

/** Key under which the header of a safetensors file written by `saveVae` holds its `VaeConfig` as JSON. */
export const vaeConfigKey = 'vae.config';

/** A weight that every autoencoder has. */
const anchor = 'encoder.conv_in.weight';

/** Weights that checkpoints hold for training: discriminator and perceptual network, and averages under other names. */
const forTraining = /^(loss|model_ema)\./;

/**
 * Loads the weights of an autoencoder by their official names: the reference's `kl16.ckpt` (its state dict is under
 * `model`), a checkpoint of latent diffusion (under `state_dict`, of the autoencoder alone or of the complete model), a
 * bare state dict, or a `.safetensors` file. Whatever else the file holds does not matter, nor do the prefixes of wrappers
 * before the names (see `openWeights` of @tb/io).
 *
 * The discriminator and the perceptual network that such checkpoints also hold (`loss.…`) serve training and are left out.
 * Any other weight that is missing, unexpected or of the wrong shape is an error.
 *
 * @param input - a path, or the file's bytes
 * @throws Error listing every weight that does not fit or is not finite; FileFormatError if the file is damaged
 */
export async function loadVae(input: ByteInput, config: VaeConfig): Promise<Vae> {
  const file = await openWeights(input, { anchor });
  try {
    const tensors = await file.read(Object.keys(file.tensors).filter((name) => !forTraining.test(name)));
    assertContentHash(nameOf(input), { tensors, metadata: file.metadata }, true);
    return loadParameters<Vae>(vaeShapes(config), tensors, nameOf(input));
  } finally {
    await file.close();
  }
}

/** What the names and shapes in a file reveal about the autoencoder in it. */
export type VaeDescription = {
  config: VaeConfig;
  /** Prefix of the official names in the file, such as `first_stage_model.`; usually empty. */
  prefix: string;
};

/**
 * Recognizes the configuration of the autoencoder in a file that `loadVae` reads, by the shapes of its weights (see
 * `vaeConfigOfShapes`). No weight is read.
 *
 * @throws Error if the file does not hold an autoencoder; FileFormatError if it is damaged
 */
export async function readVaeConfig(input: ByteInput): Promise<VaeConfig> {
  return (await describeVae(input)).config;
}

/**
 * The configuration of the autoencoder in a file, and how its weights are named there. No weight is read.
 *
 * @throws Error when the file holds no autoencoder; FileFormatError if it is damaged
 */
export async function describeVae(input: ByteInput): Promise<VaeDescription> {
  const file = await openWeights(input, { anchor });
  try {
    const shapes = Object.entries(file.tensors).map(([name, { shape }]) => [name, shape]);
    return { config: vaeConfigOfShapes(Object.fromEntries(shapes)), prefix: file.prefix };
  } catch (error) {
    throw new Error(`${nameOf(input)}: ${(error as Error).message}`, { cause: error });
  } finally {
    await file.close();
  }
}

/**
 * Writes an autoencoder as one safetensors file: weights by their official names, and configuration and checksum in the
 * header.
 * Replaces an existing file atomically.
 *
 * @param options - number type of the weights (default `F32`), and strings to keep in the header
 */
export async function saveVae(
  path: string,
  params: Vae,
  config: VaeConfig,
  { dtype = 'F32', metadata }: { dtype?: DType; metadata?: Record<string, string> } = {},
): Promise<void> {
  const tensors = await readParameters(params, dtype);
  const all = { ...metadata, format: 'pt', [vaeConfigKey]: JSON.stringify(config) };
  await writeSafetensors(path, tensors, { metadata: withContentHash(tensors, all) });
}
