// TokenBridge on ImageNet at 256 x 256: the paper's H. Values of Tab. 4.
//
//   command    tb-train cache --data imagenet/train --image-size 256 --vae kl16.ckpt --out runs/imagenet-cache
//              tb-train model --config imagenet-256-huge
//   hardware   an NVIDIA GPU of 80 GB, 16 images at once (less memory: --micro-batch), or several: --devices 8
//   result     FID 1.55 (Tab. 3) with --cfg 3.45 --temperature 0.91; never run to the end by this project
//   time       800 epochs of 1,281,167 images

export default {
  command: 'model',
  preset: 'huge',
  cache: 'runs/imagenet-cache',
  out: 'runs/imagenet-256-huge',
  backend: 'xla',
  precision: 'bf16',
};
