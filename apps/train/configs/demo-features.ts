// The feature network of the demo: a classifier of crops of the ten photographs, 187 thousand parameters.
//
//   command    tb-train features --config demo-features   (in the repository: pnpm tb-train features --config demo-features)
//   hardware   one NVIDIA GPU (--backend xla), three minutes on an H100 that had other work
//   result     runs/demo-features/features.safetensors, 0.75 MB; 93% of the crops of places that training did not see
import type { FeaturesConfigFile } from '../src/options/tables.js';

export default {
  command: 'features',
  data: 'apps/train/demo/photos',
  crops: true,
  imageSize: 64,
  cropScaleMin: 0.35,
  cropScaleMax: 0.7,
  heldOut: 0.25,
  out: 'runs/demo-features',
  backend: 'xla',
  seed: 1,
  steps: 2500,
  batch: 64,
} satisfies FeaturesConfigFile;
