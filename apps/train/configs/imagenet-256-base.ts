// TokenBridge on ImageNet at 256 x 256: MAR-B backbone, head of 4 blocks; not in the paper. Values of Tab. 4.
//
//   command    tb-train cache --data imagenet/train --image-size 256 --vae kl16.ckpt --out runs/imagenet-cache
//              tb-train model --config imagenet-256-base
//   hardware   an NVIDIA GPU of 80 GB, 32 images at once (less memory: --micro-batch), or several: --devices 8
//   result     no published figure; never run to the end by this project
//   time       800 epochs of 1,281,167 images

export default {
  command: 'model',
  preset: 'base',
  cache: 'runs/imagenet-cache',
  out: 'runs/imagenet-256-base',
  backend: 'xla',
  precision: 'bf16',
};
