// The TokenBridge model of the demo: ten classes, one per photograph, 64 levels a channel, 4.3 million parameters.
//
//   command    tb-train model --config demo-model      (in the repository: pnpm tb-train model --config demo-model)
//   hardware   one NVIDIA GPU (--backend xla)
//   needs      apps/train/demo/vae.safetensors, made with --config demo-vae
//   result     runs/demo-model/model.safetensors, 9 MB
//
// The bundled weights were trained on one H100, from a cache of 40,000 crops, which is faster than decoding each crop again: 70 s
// for the cache, a minute to compile, 263 s for 12,583 steps at 6,300 crops/s; training loss 2.36.
//   tb-train cache --data apps/train/demo/photos --crops --crops-per-photograph 4000 --crop-scale-min 0.35
//     --crop-scale-max 0.7 --image-size 64 --vae apps/train/demo/vae.safetensors --out runs/demo-cache --backend xla
//   tb-train model --config demo-model --cache runs/demo-cache --steps 12583
// tb-train eval measured (docs/metrics.md): the demo's feature network assigns the requested class to all of 200 generated images
// (16 steps, guidance 3), and to 93.2% of real crops that neither network was trained on.

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
};
