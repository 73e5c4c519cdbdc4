/** Names and shapes of the published weights: kernels [out, in, height, width] and four vectors of batch statistics. */

type Kernel = readonly [name: string, output: number, input: number, height: number, width: number];

const stem: Kernel[] = [
  ['Conv2d_1a_3x3', 32, 3, 3, 3],
  ['Conv2d_2a_3x3', 32, 32, 3, 3],
  ['Conv2d_2b_3x3', 64, 32, 3, 3],
  ['Conv2d_3b_1x1', 80, 64, 1, 1],
  ['Conv2d_4a_3x3', 192, 80, 3, 3],
];

const mixed5 = (block: string, input: number, pool: number): Kernel[] => [
  [`${block}.branch1x1`, 64, input, 1, 1],
  [`${block}.branch5x5_1`, 48, input, 1, 1],
  [`${block}.branch5x5_2`, 64, 48, 5, 5],
  [`${block}.branch3x3dbl_1`, 64, input, 1, 1],
  [`${block}.branch3x3dbl_2`, 96, 64, 3, 3],
  [`${block}.branch3x3dbl_3`, 96, 96, 3, 3],
  [`${block}.branch_pool`, pool, input, 1, 1],
];

const mixed6a: Kernel[] = [
  ['Mixed_6a.branch3x3', 384, 288, 3, 3],
  ['Mixed_6a.branch3x3dbl_1', 64, 288, 1, 1],
  ['Mixed_6a.branch3x3dbl_2', 96, 64, 3, 3],
  ['Mixed_6a.branch3x3dbl_3', 96, 96, 3, 3],
];

const mixed6 = (block: string, width: number): Kernel[] => [
  [`${block}.branch1x1`, 192, 768, 1, 1],
  [`${block}.branch7x7_1`, width, 768, 1, 1],
  [`${block}.branch7x7_2`, width, width, 1, 7],
  [`${block}.branch7x7_3`, 192, width, 7, 1],
  [`${block}.branch7x7dbl_1`, width, 768, 1, 1],
  [`${block}.branch7x7dbl_2`, width, width, 7, 1],
  [`${block}.branch7x7dbl_3`, width, width, 1, 7],
  [`${block}.branch7x7dbl_4`, width, width, 7, 1],
  [`${block}.branch7x7dbl_5`, 192, width, 1, 7],
  [`${block}.branch_pool`, 192, 768, 1, 1],
];

const mixed7a: Kernel[] = [
  ['Mixed_7a.branch3x3_1', 192, 768, 1, 1],
  ['Mixed_7a.branch3x3_2', 320, 192, 3, 3],
  ['Mixed_7a.branch7x7x3_1', 192, 768, 1, 1],
  ['Mixed_7a.branch7x7x3_2', 192, 192, 1, 7],
  ['Mixed_7a.branch7x7x3_3', 192, 192, 7, 1],
  ['Mixed_7a.branch7x7x3_4', 192, 192, 3, 3],
];

const mixed7 = (block: string, input: number): Kernel[] => [
  [`${block}.branch1x1`, 320, input, 1, 1],
  [`${block}.branch3x3_1`, 384, input, 1, 1],
  [`${block}.branch3x3_2a`, 384, 384, 1, 3],
  [`${block}.branch3x3_2b`, 384, 384, 3, 1],
  [`${block}.branch3x3dbl_1`, 448, input, 1, 1],
  [`${block}.branch3x3dbl_2`, 384, 448, 3, 3],
  [`${block}.branch3x3dbl_3a`, 384, 384, 1, 3],
  [`${block}.branch3x3dbl_3b`, 384, 384, 3, 1],
  [`${block}.branch_pool`, 192, input, 1, 1],
];

/** Every convolution of the network, in the order of the published file. */
export const INCEPTION_KERNELS: readonly Kernel[] = [
  ...stem,
  ...mixed5('Mixed_5b', 192, 32),
  ...mixed5('Mixed_5c', 256, 64),
  ...mixed5('Mixed_5d', 288, 64),
  ...mixed6a,
  ...mixed6('Mixed_6b', 128),
  ...mixed6('Mixed_6c', 160),
  ...mixed6('Mixed_6d', 160),
  ...mixed6('Mixed_6e', 192),
  ...mixed7a,
  ...mixed7('Mixed_7b', 1280),
  ...mixed7('Mixed_7c', 2048),
];

const INCEPTION_BATCH_STATISTICS = ['weight', 'bias', 'running_mean', 'running_var'] as const;

/** All 472 tensors of the published file by name, without PyTorch's counters `num_batches_tracked`. */
export function inceptionShapes(): Record<string, readonly number[]> {
  const shapes: Record<string, readonly number[]> = {};
  for (const [name, ...kernel] of INCEPTION_KERNELS) {
    shapes[`${name}.conv.weight`] = kernel;
    for (const statistic of INCEPTION_BATCH_STATISTICS) shapes[`${name}.bn.${statistic}`] = [kernel[0]];
  }
  shapes['fc.weight'] = [1008, 2048];
  shapes['fc.bias'] = [1008];
  return shapes;
}
