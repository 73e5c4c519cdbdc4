export type { AdaptiveModulation, ChannelBlock } from './channel-block.js';
export { type ChannelHead, channelHeadShapes, initChannelHead } from './channel-head.js';
export { assertChannelHeadConfig, type ChannelHeadConfig, channelHeadSizes, classCount, groupCount } from './config.js';
export type { FirstPosition, ForwardOptions } from './forward.js';
export { classesToTokens, tokensToClasses } from './groups.js';
export { channelLogits, type LogitsOptions } from './logits.js';
export { type ChannelSample, type Draw, type SampleOptions, sampleChannels } from './sample.js';
