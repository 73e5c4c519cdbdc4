export type { AttentionBlock, Middle, ResidualBlock } from './blocks.js';
export {
  demo,
  downsamplingFactor,
  kl16,
  type VaeConfig,
  vaeConfigOfShapes,
  vaePresets,
  type WeightShapes,
} from './config.js';
export { describeVae, loadVae, readVaeConfig, saveVae, type VaeDescription, vaeConfigKey } from './files.js';
export {
  type Autoencoder,
  createAutoencoder,
  decodeToImages,
  imagesToTensor,
  type Pixels,
  prepareDecoding,
  tensorToImages,
} from './programs.js';
export {
  type Decoder,
  type DecoderLevel,
  decode,
  type Encoder,
  type EncoderLevel,
  encode,
  initVae,
  klDivergence,
  negativeLogLikelihood,
  type Posterior,
  posteriorOf,
  sampleLatent,
  type Vae,
  vaeShapes,
} from './vae.js';
