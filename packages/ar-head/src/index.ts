export {
  type AdaptiveModulation,
  type ChannelBlock,
  type ChannelHead,
  channelHeadShapes,
  type FirstPosition,
  type ForwardOptions,
  initChannelHead,
} from './channel-head.js';
export {
  assertChannelHeadConfig,
  type ChannelHeadConfig,
  channelHeadSizes,
  groupCount,
  symbolCount,
} from './config.js';
export {
  type ChannelSample,
  channelLogits,
  type Draw,
  type LogitsOptions,
  type SampleOptions,
  sampleChannels,
  symbolsToTokens,
  tokensToSymbols,
} from './predict.js';
