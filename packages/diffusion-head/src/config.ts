/** Sizes of the diffusion head. */
export type DiffusionHeadConfig = {
  /** Channels of a latent position. */
  channels: number;
  /** Width of the backbone's features. */
  featureWidth: number;
  /** Width of the denoising network. */
  width: number;
  /** Number of its residual blocks. */
  depth: number;
};

/** Checks a head's configuration. @throws Error listing every field that no head can have */
export function assertDiffusionHeadConfig(config: DiffusionHeadConfig): void {
  const problems = (['channels', 'featureWidth', 'width', 'depth'] as const)
    .filter((name) => !Number.isInteger(config[name]) || config[name] < 1)
    .map((name) => `${name} must be a positive integer, got ${config[name]}`);
  if (problems.length > 0) throw new Error(`assertDiffusionHeadConfig: ${problems.join('; ')}`);
}

/** Sizes of the heads of MAR's released checkpoints `mar_base`, `mar_large` and `mar_huge` (Li et al. 2024). */
export const diffusionHeadSizes = {
  base: { width: 1024, depth: 6 },
  large: { width: 1280, depth: 8 },
  huge: { width: 1536, depth: 12 },
} as const;
