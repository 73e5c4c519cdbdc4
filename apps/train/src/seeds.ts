// Image i of a command has the seed `--seed` × stride + i. Strides keep the images of neighbouring values of --seed apart.

/** Of `tb-train eval`, which may make many thousand images. */
export const evalSeedStride = 1_000_003;

/** Of `tb-train demo`. */
export const demoSeedStride = 1000;

/** Of the order in which images to validate on are read, so that every run reads the same ones. */
export const validationSeed = 0;
