// TokenBridge on ImageNet at 256 x 256: the paper's L, 486 million parameters. Values of Tab. 4.
//
//   command    tb-train cache --data imagenet/train --image-size 256 --vae kl16.ckpt --out runs/imagenet-cache
//              tb-train model --config imagenet-256-large
//   hardware   an NVIDIA GPU of 80 GB, 32 images at once (less memory: --micro-batch), or several: --devices 8
//   result     FID 1.76 (Tab. 3) with --cfg 3.1 --temperature 0.97; never run to the end by this project
//   time       800 epochs of 1,281,167 images

export default {
  command: 'model',
  preset: 'large',
  cache: 'runs/imagenet-cache',
  out: 'runs/imagenet-256-large',
  backend: 'xla',
  precision: 'bf16',
};
