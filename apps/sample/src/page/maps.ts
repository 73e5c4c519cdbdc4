// Between the page's messages and what the sampler takes and returns. Without modules of Node.
import { hostRandom } from '@tb/runtime';
import type { PositionDetails } from '@tb/tokenbridge';
import type { PositionMaps } from './messages.js';

// S = positions, C = channels

/** The state of an image's positions as the page gets it. @param isKnown - all are, if it is missing */
export function positionMaps({ stepOfPosition, confidence }: PositionDetails, isKnown?: Uint8Array): PositionMaps {
  const wasGiven = (position: number) => (isKnown ? isKnown[position] === 1 : true);
  return {
    stepOfPosition: Array.from(stepOfPosition, (step, position) => (step < 0 && wasGiven(position) ? -2 : step)),
    confidence: Array.from(confidence, (value) => Math.round(value * 1e4) / 1e4),
  };
}

/**
 * Chooses what an edit keeps.
 *
 * @param mask - how strongly each position is changed, in 0 … 1, at least one above 0; [S]
 * @returns 1 where a position is kept, else 0; at least one is 0; [S]
 */
export function keptPositions(mask: readonly number[], seed: number): Uint8Array {
  const random = hostRandom(seed);
  const kept = Uint8Array.from(mask, (strength) => (random.uniform() < strength ? 0 : 1));
  if (!kept.includes(0)) kept[mask.indexOf(Math.max(...mask))] = 0;
  return kept;
}

/** Tokens as base64 of two bytes each, little end first; [S·C]. */
export function encodeTokens(tokens: ArrayLike<number>): string {
  const bytes = new Uint8Array(2 * tokens.length);
  for (let i = 0; i < tokens.length; i++) bytes.set([tokens[i] & 255, tokens[i] >> 8], 2 * i);
  return encodeBase64(bytes);
}

/** The inverse of `encodeTokens`. @param text - base64, checked */
export function decodeTokens(text: string): Int32Array {
  const bytes = atob(text);
  return Int32Array.from(
    { length: bytes.length / 2 },
    (_, i) => bytes.charCodeAt(2 * i) + 256 * bytes.charCodeAt(2 * i + 1),
  );
}

const chunk = 2 ** 13; // String.fromCharCode takes so many arguments

/** Bytes as base64. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let start = 0; start < bytes.length; start += chunk)
    text += String.fromCharCode(...bytes.subarray(start, start + chunk));
  return btoa(text);
}
