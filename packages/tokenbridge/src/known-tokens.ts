import * as tf from '@tensorflow/tfjs-core';
import { positionCount, type TokenBridgeConfig } from './model.js';

// N = images, S = positions, C = channels

/** Tokens that are given. They stay as they are, and the other positions are filled around them. */
export type KnownTokens = {
  /** In the latents' order of channels, each in [0, levels); not read where they are not known; [N·S·C]. */
  tokens: ArrayLike<number>;
  /** 1 or true where a position is known; as many for each image, and not all; [N·S]. */
  isKnown: ArrayLike<number | boolean>;
};

/** @throws RangeError when given tokens do not fit the model, or leave nothing to fill */
export function assertKnown({ tokens, isKnown }: KnownTokens, images: number, config: TokenBridgeConfig): void {
  const positions = positionCount(config);
  const { channels } = config.latent;
  const fail = (rule: string, got: unknown) => {
    throw new RangeError(`generate: known.${rule}, got ${got}`);
  };
  const count = images * positions;
  if (isKnown.length !== count) fail(`isKnown must hold ${count} positions`, isKnown.length);
  if (tokens.length !== count * channels) fail(`tokens must hold ${count * channels} values`, tokens.length);
  const knownOf = (image: number) =>
    Array.from(isKnown)
      .slice(image * positions, (image + 1) * positions)
      .filter(Boolean).length;
  const perImage = Array.from({ length: images }, (_, image) => knownOf(image));
  if (perImage.some((known) => known !== perImage[0] || known === positions))
    fail('isKnown must leave as many positions masked in every image, at least 1', `${perImage.join(', ')} known`);
  const isToken = (value: number) => Number.isInteger(value) && value >= 0 && value < config.quantizer.levels;
  for (let i = 0; i < tokens.length; i++) {
    if (isKnown[Math.floor(i / channels)] && !isToken(tokens[i]))
      fail(`tokens must be integers in [0, ${config.quantizer.levels})`, tokens[i]);
  }
}

/** Marks what is known at the beginning, 1 for each known position; [N·S]. */
export function knownFlags(known: KnownTokens | undefined, length: number): Uint8Array {
  return known ? Uint8Array.from(known.isKnown, Number) : new Uint8Array(length);
}

/** Given tokens on the device, 0 where masked, int32 [N, S, C]; and their confidence, 1 where given, [N, S]. */
export function givenTensors({ tokens, isKnown }: KnownTokens, images: number, config: TokenBridgeConfig) {
  const positions = positionCount(config);
  const { channels } = config.latent;
  const kept = Int32Array.from(tokens, (token, i) => (isKnown[Math.floor(i / channels)] ? token : 0));
  return {
    tokens: tf.tensor3d(kept, [images, positions, channels], 'int32'),
    confidence: tf.tensor2d(Float32Array.from(isKnown, Number), [images, positions]),
  };
}
