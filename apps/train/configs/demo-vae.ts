// The autoencoder of the demo: 64 x 64 crops of ten photographs to 8 x 8 x 16 latents, 4.1 million parameters.
//
//   command    tb-train vae --config demo-vae          (in the repository: pnpm tb-train vae --config demo-vae)
//   hardware   one NVIDIA GPU (--backend xla)
//   result     runs/demo-vae/vae.safetensors, 8 MB. The bundled weights (--steps 6000, about five minutes on an H200):
//              PSNR on held-out parts of the photographs 28.43 dB, through 64 levels 28.38 dB, through 8 levels 26.30 dB
//
// Crops are both enlarged and reduced, so that the autoencoder learns edges and textures at every scale.

export default {
  command: 'vae',
  preset: 'demo',
  data: 'apps/train/demo/photos',
  crops: true,
  imageSize: 64,
  cropScaleMin: 0.2,
  cropScaleMax: 0.8,
  heldOut: 0.25,
  out: 'runs/demo-vae',
  backend: 'xla',
  precision: 'bf16',
  seed: 1,
  steps: 8000,
  batch: 128,
  learningRate: 5e-4,
  warmupSteps: 200,
  weightDecay: 0,
  beta2: 0.99,
  clip: 1,
  ema: 0.999,
  absoluteWeight: 1,
  squaredWeight: 2,
  gradientWeight: 0.5,
  klWeight: 1e-4,
  validateEvery: 1000,
  validationImages: 256,
  drawEvery: 2000,
  checkpointEvery: 4000,
  half: true,
};
