import {
  type ByteInput,
  type DType,
  type HostTensor,
  InputError,
  isSafetensors,
  nameOf,
  openCheckpoint,
  openSafetensors,
  readCheckpoint,
  readSafetensors,
  writeSafetensors,
} from '@tb/io';
import { loadParameters, readParameters } from '@tb/nn';
import { type VaeConfig, vaeConfigOfShapes } from './config.js';
import { type Vae, vaeShapes } from './vae.js';

/** Key under which the header of a safetensors file written by `saveVae` holds its `VaeConfig` as JSON. */
export const vaeConfigKey = 'vae.config';

type StateDict<Tensor> = Record<string, Tensor>;

/**
 * Loads the weights of an autoencoder by their official names: the reference's `kl16.ckpt` (its state dict is under
 * `model`), a checkpoint of latent diffusion (under `state_dict`), a bare state dict, or a `.safetensors` file.
 *
 * Such checkpoints also hold the networks of the training losses (`loss.…`: discriminator and perceptual network), which are
 * left out. Any other missing, unexpected or wrongly shaped weight is an error.
 *
 * @param input - a path, or the file's bytes
 * @throws Error listing every weight that does not fit; FileFormatError if the file is damaged
 */
export async function loadVae(input: ByteInput, config: VaeConfig): Promise<Vae> {
  const tensors = isSafetensors(input)
    ? (await readSafetensors(input)).tensors
    : stateDictOf<HostTensor>(input, await readCheckpoint(input));
  const weights = Object.entries(tensors).filter(([name]) => !name.startsWith('loss.'));
  return loadParameters<Vae>(vaeShapes(config), Object.fromEntries(weights), nameOf(input));
}

/**
 * Recognizes the configuration of the autoencoder in a file that `loadVae` reads, by the shapes of its weights (see
 * `vaeConfigOfShapes`). No weight is read.
 *
 * @throws Error if the file does not hold an autoencoder; FileFormatError if it is damaged
 */
export async function readVaeConfig(input: ByteInput): Promise<VaeConfig> {
  const file = isSafetensors(input) ? await openSafetensors(input) : await openCheckpoint(input);
  try {
    const tensors = 'value' in file ? stateDictOf<{ shape?: number[] } | null>(input, file.value) : file.tensors;
    const shapes = Object.entries(tensors).map(([name, tensor]) => [name, tensor?.shape ?? []]);
    return vaeConfigOfShapes(Object.fromEntries(shapes));
  } catch (error) {
    throw new Error(`${nameOf(input)}: ${(error as Error).message}`);
  } finally {
    await file.close();
  }
}

/**
 * Writes an autoencoder as one safetensors file: weights by their official names, and the configuration in the header.
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
  await writeSafetensors(path, await readParameters(params, dtype), {
    metadata: { ...metadata, format: 'pt', [vaeConfigKey]: JSON.stringify(config) },
  });
}

function stateDictOf<Tensor>(input: ByteInput, checkpoint: unknown): StateDict<Tensor> {
  if (typeof checkpoint !== 'object' || checkpoint === null) {
    throw new InputError(
      'loadVae',
      `${nameOf(input)} must hold a state dict, got ${checkpoint === null ? 'None' : typeof checkpoint}`,
    );
  }
  const { model, state_dict } = checkpoint as Record<string, unknown>;
  return (model ?? state_dict ?? checkpoint) as StateDict<Tensor>;
}
