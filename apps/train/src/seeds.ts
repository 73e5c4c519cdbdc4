// Image i of a command has the seed `--seed` × stride + i. Strides keep the images of neighbouring values of --seed apart.

/** Stride between the seeds of `tb-train eval`, which may generate many thousand images. */
export const evalSeedStride = 1_000_003;

/** Stride between the seeds of `tb-train demo`. */
export const demoSeedStride = 1000;

/** Seed of the order in which validation images are read. It is fixed, so every run reads the same ones. */
export const validationSeed = 0;
