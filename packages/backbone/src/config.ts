/** One stack of transformer blocks. */
export type StackConfig = {
  /** Features per token; a multiple of `heads`. */
  width: number;
  /** Number of blocks. */
  depth: number;
  /** Attention heads. */
  heads: number;
};

/** Sizes of the masked autoregressive backbone (Li et al. 2024, MAR), which TokenBridge takes over. */
export type BackboneConfig = {
  /** Positions of the latent grid, height × width. */
  positions: number;
  /** Channels of a latent position. */
  channels: number;
  /** Number of classes. */
  classes: number;
  /** How many copies of the class embedding come before the positions. */
  bufferSize: number;
  encoder: StackConfig;
  decoder: StackConfig;
  /** Hidden width of the MLPs as a multiple of the width. */
  mlpRatio: number;
};

/** Checks a backbone's configuration. @throws Error listing every field that no backbone can have */
export function assertBackboneConfig(config: BackboneConfig): void {
  const problems: string[] = [];
  const positive = (name: string, value: number) => {
    if (!Number.isInteger(value) || value < 1) problems.push(`${name} must be a positive integer, got ${value}`);
  };
  for (const name of ['positions', 'channels', 'classes', 'bufferSize'] as const) positive(name, config[name]);
  for (const stack of ['encoder', 'decoder'] as const) {
    const { width, depth, heads } = config[stack];
    positive(`${stack}.width`, width);
    positive(`${stack}.depth`, depth);
    positive(`${stack}.heads`, heads);
    if (width % heads !== 0) problems.push(`${stack}.width must be a multiple of its ${heads} heads, got ${width}`);
    if (!Number.isInteger(width * config.mlpRatio) || !(config.mlpRatio > 0))
      problems.push(`mlpRatio times ${stack}.width must be a positive integer, got ${config.mlpRatio} × ${width}`);
  }
  if (problems.length > 0) throw new Error(`assertBackboneConfig: ${problems.join('; ')}`);
}

type OfficialSize = Pick<BackboneConfig, 'encoder' | 'decoder' | 'mlpRatio' | 'bufferSize'>;

const symmetric = (width: number, depth: number, heads: number): OfficialSize => ({
  encoder: { width, depth, heads },
  decoder: { width, depth, heads },
  mlpRatio: 4,
  bufferSize: 64,
});

/**
 * The official sizes. Large and huge are those of TokenBridge (appendix A: 32 blocks of width 1024, 40 of width 1280, half
 * in the encoder and half in the decoder; 16 heads in the released code); base is MAR-B (Li et al. 2024: 12 + 12 blocks of
 * width 768, 12 heads), the "172M parameter backbone" of Tab. 2(d).
 */
export const backboneSizes = {
  base: symmetric(768, 12, 12),
  large: symmetric(1024, 16, 16),
  huge: symmetric(1280, 20, 16),
} as const;
