import { type HostTensor, readCheckpoint, readSafetensors } from '@tb/io';
import { loadParameters } from '@tb/nn';
import type { VaeConfig } from './config.js';
import { type Vae, vaeShapes } from './vae.js';

type StateDict = Record<string, HostTensor>;

/**
 * Loads the weights of an autoencoder by their official names: the reference's `kl16.ckpt` (its state dict stands under
 * `model`), a checkpoint of latent diffusion (under `state_dict`), a bare state dict, or a `.safetensors` file.
 *
 * The discriminator and the perceptual network that such checkpoints also hold (`loss.…`) are training matter and are
 * left out. Any other missing, surplus or misshapen weight is an error.
 *
 * @throws Error listing every weight that does not fit; FileFormatError if the file is damaged
 */
export async function loadVae(path: string, config: VaeConfig): Promise<Vae> {
  const tensors = path.endsWith('.safetensors')
    ? (await readSafetensors(path)).tensors
    : stateDictOf(path, await readCheckpoint(path));
  const own = Object.entries(tensors).filter(([name]) => !name.startsWith('loss.'));
  return loadParameters<Vae>(vaeShapes(config), Object.fromEntries(own));
}

function stateDictOf(path: string, checkpoint: unknown): StateDict {
  if (typeof checkpoint !== 'object' || checkpoint === null) {
    throw new Error(`loadVae: ${path} must hold a state dict, got ${checkpoint === null ? 'None' : typeof checkpoint}`);
  }
  const { model, state_dict } = checkpoint as Record<string, unknown>;
  return (model ?? state_dict ?? checkpoint) as StateDict;
}
