// The feature network of the demo: a classifier of crops of the ten photographs, 187 thousand parameters.
//
//   command    tb-train features --config demo-features   (in the repository: pnpm tb-train features --config demo-features)
//   hardware   two CPU cores (--backend wasm), some minutes
//   result     runs/demo-features/features.safetensors, 0.75 MB; 80% of the crops of places that training did not see
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
  backend: 'wasm',
  seed: 1,
  steps: 300,
  batch: 24,
} satisfies FeaturesConfigFile;
