export type { AttentionBlock, ResidualBlock } from './blocks.js';
export { demo, downsamplingFactor, kl16, type VaeConfig, vaePresets } from './config.js';
export { vaeConfigOfShapes, type WeightShapes } from './config-of-shapes.js';
export type { Decoder, DecoderLevel } from './decoder.js';
export type { Encoder, EncoderLevel } from './encoder.js';
export { loadVae, readVaeConfig, saveVae, vaeConfigKey } from './files.js';
export type { Middle } from './middle.js';
export { klDivergence, negativeLogLikelihood, type Posterior, posteriorOf, sampleLatent } from './posterior.js';
export {
  type Autoencoder,
  createAutoencoder,
  createDecoder,
  imagesToTensor,
  type Pixels,
  tensorToImages,
} from './programs.js';
export { decode, encode, initVae, type Vae, vaeShapes } from './vae.js';
