/** Sizes and kind of the channel head. */
export type ChannelHeadConfig = {
  /**
   * `autoregressive` (Eq. 6) conditions every channel on the ones before it; `parallel` (Tab. 2a) predicts each from the
   * context features alone.
   */
  kind: 'autoregressive' | 'parallel';
  /** Channels of a latent position. */
  channels: number;
  /** Quantization levels B of a channel. */
  levels: number;
  /** The channels in the order in which the head predicts them; default 0, 1, … */
  channelOrder?: readonly number[];
  /** Channels predicted jointly (Tab. 2d): 1, 2 or 4, neighbours in the order. The tokens of g channels have Bᵍ symbols. */
  groupSize: 1 | 2 | 4;
  /** Width of the backbone's context features. */
  featureWidth: number;
  /** Width of the head's transformer; a multiple of `heads`. */
  width: number;
  depth: number;
  heads: number;
  /** Hidden width of the MLPs as a multiple of the width. */
  mlpRatio: number;
};

/** The most symbols of a group: Tab. 2(d)'s largest, 16⁴. */
const maximumSymbols = 65536;

/** G, the groups of channels: how many predictions the head makes per position. */
export function groupCount({ channels, groupSize }: ChannelHeadConfig): number {
  return channels / groupSize;
}

/** K, the symbols of one group: Bᵍ. */
export function symbolCount({ levels, groupSize }: ChannelHeadConfig): number {
  return levels ** groupSize;
}

/** Checks a head's configuration. @throws Error listing every field that no head can have */
export function assertChannelHeadConfig(config: ChannelHeadConfig): void {
  const { kind, channels, levels, channelOrder, groupSize, width, heads, mlpRatio } = config;
  const problems: string[] = [];
  for (const name of ['channels', 'featureWidth', 'width', 'depth', 'heads'] as const) {
    if (!Number.isInteger(config[name]) || config[name] < 1)
      problems.push(`${name} must be a positive integer, got ${config[name]}`);
  }
  if (kind !== 'autoregressive' && kind !== 'parallel')
    problems.push(`kind must be autoregressive or parallel, got ${kind}`);
  if (![1, 2, 4].includes(groupSize)) problems.push(`groupSize must be 1, 2 or 4, got ${groupSize}`);
  if (channels % groupSize !== 0)
    problems.push(`channels must be a multiple of the groupSize ${groupSize}, got ${channels}`);
  if (channelOrder && !isPermutation(channelOrder, channels))
    problems.push(`channelOrder must hold each of 0 … ${channels - 1} once, got [${channelOrder.join(', ')}]`);
  if (!Number.isInteger(levels) || levels < 2) problems.push(`levels must be an integer from 2, got ${levels}`);
  if (!(levels ** groupSize <= maximumSymbols))
    problems.push(`levels to the power of groupSize must be at most ${maximumSymbols}, got ${levels}^${groupSize}`);
  if (width % heads !== 0) problems.push(`width must be a multiple of the ${heads} heads, got ${width}`);
  if (!(mlpRatio > 0) || !Number.isInteger(width * mlpRatio))
    problems.push(`mlpRatio times width must be a positive integer, got ${mlpRatio} × ${width}`);
  if (problems.length > 0) throw new Error(`assertChannelHeadConfig: ${problems.join('; ')}`);
}

function isPermutation(order: readonly number[], length: number): boolean {
  return order.length === length && Array.from({ length }, (_, index) => index).every((index) => order.includes(index));
}

/**
 * Sizes of the head. Large and huge are the paper's (appendix A: width 1024, 4 and 6 layers) with the released code's 8 heads.
 * Base is L's head, as in Tab. 2(d): only at width 1024 do 4 channels a group add that table's 470M parameters. It is not
 * the released code's 768, for which there are no weights.
 */
export const channelHeadSizes = {
  base: { width: 1024, depth: 4, heads: 8, mlpRatio: 4 },
  large: { width: 1024, depth: 4, heads: 8, mlpRatio: 4 },
  huge: { width: 1024, depth: 6, heads: 8, mlpRatio: 4 },
} as const;
