// A small model on your own folder of class folders, 64 x 64. Copy this file, or pass everything as flags.
//
//   command    tb-train vae --data my-images --image-size 64 --steps 5000 --out runs/my-vae
//              tb-train model --config own-images --data my-images --vae runs/my-vae
//   hardware   any; minutes on a GPU
//   result     runs/own-images/model.safetensors, and samples in runs/own-images/report.html during training

export default {
  command: 'model',
  preset: 'tiny',
  imageSize: 64,
  out: 'runs/own-images',
  steps: 10000,
  batch: 64,
  warmupSteps: 500,
  drawEvery: 1000,
};
