// The TokenBridge model of the demo: ten classes, one per photograph, 64 levels a channel, 4.3 million parameters.
//
//   command    tb-train model --config demo-model      (in the repository: pnpm tb-train model --config demo-model)
//   hardware   one NVIDIA GPU (--backend xla)
//   needs      apps/train/demo/vae.safetensors, made with --config demo-vae
//   result     runs/demo-model/model.safetensors, 9 MB
//
// The weights that come along are a first, short run on a CPU (500 steps of 8 crops from a latent cache, 26 minutes; loss 3.2):
//   tb-train cache --data apps/train/demo/photos --crops --crops-per-photograph 240 --crop-scale-min 0.35
//     --crop-scale-max 0.7 --image-size 64 --vae apps/train/demo/vae.safetensors --out runs/cache
//   tb-train model --config demo-model --cache runs/cache --backend tensorflow --batch 8 --steps 500
//     --warmup-steps 30 --ema 0.98
// They know the colours and textures of the classes; the whole run is wanted for their shapes.
import type { ModelConfigFile } from '../src/options/tables.js';

export default {
  command: 'model',
  preset: 'tiny',
  data: 'apps/train/demo/photos',
  crops: true,
  imageSize: 64,
  cropScaleMin: 0.35,
  cropScaleMax: 0.7,
  heldOut: 0.25,
  vae: 'apps/train/demo/vae.safetensors',
  out: 'runs/demo-model',
  backend: 'xla',
  precision: 'bf16',
  seed: 1,
  steps: 16000,
  batch: 128,
  levels: 64,
  learningRate: 1e-3,
  warmupSteps: 500,
  ema: 0.999,
  clip: 1,
  dropout: 0.05,
  labelDropout: 0.1,
  maskGranularity: 16,
  validateEvery: 2000,
  validationImages: 256,
  drawEvery: 4000,
  checkpointEvery: 8000,
  half: true,
} satisfies ModelConfigFile;
