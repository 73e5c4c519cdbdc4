// A font of 5 by 7 dots, so that captions look the same on machines without any fonts.
import type { Pixels } from './pixels.js';

export const textHeight = 7;
const advance = 6;

/** Seven rows per letter from top to bottom, each a base-32 digit whose bits are the dots from left to right. */
const glyphs: Record<string, string> = {
  ' ': '0000000',
  a: '00e1fhf',
  b: 'gguhhhu',
  c: '00egghe',
  d: '11fhhhf',
  e: '00ehvge',
  f: '68u8888',
  g: '0fhhf1e',
  h: 'gguhhhh',
  i: '40c444e',
  j: '20622ic',
  k: 'ggikoki',
  l: 'c44444e',
  m: '00qllll',
  n: '00uhhhh',
  o: '00ehhhe',
  p: '0uhhugg',
  q: '0fhhf11',
  r: '00moggg',
  s: '00fge1u',
  t: '88u8886',
  u: '00hhhhf',
  v: '00hhha4',
  w: '00lllla',
  x: '00ha4ah',
  y: '0hhf11e',
  z: '00v248v',
  '0': 'ehjlphe',
  '1': '4c4444e',
  '2': 'eh1248v',
  '3': 'eh161he',
  '4': '26aiv22',
  '5': 'vgu11he',
  '6': '68guhhe',
  '7': 'v124888',
  '8': 'ehhehhe',
  '9': 'ehhf12c',
  '-': '000e000',
  _: '000000v',
  '.': '00000cc',
  ',': '0000448',
  '=': '00v0v00',
  ':': '0400040',
  '%': 'pp248jj',
  '(': '2488842',
  ')': '8422248',
  '/': '11248gg',
  '+': '044v440',
  '?': 'eh12404',
};

/** Writes one line in black, cut off after `width` pixels. Capitals become small letters, unknown signs `?`. */
export function drawText(canvas: Pixels, text: string, left: number, top: number, width: number): void {
  const letters = [...text.toLowerCase()].slice(0, Math.floor(width / advance));
  for (const [position, letter] of letters.entries()) {
    const glyph = glyphs[letter] ?? glyphs['?'];
    for (let dot = 0; dot < 5 * textHeight; dot++) {
      const [row, column] = [Math.floor(dot / 5), dot % 5];
      const isSet = (Number.parseInt(glyph[row], 32) >> (4 - column)) & 1;
      if (!isSet) continue;
      const at = ((top + row) * canvas.width + left + position * advance + column) * 3;
      canvas.data.fill(0, at, at + 3);
    }
  }
}
