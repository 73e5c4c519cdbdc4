// A font of 5 by 9 dots, the last two rows below the baseline, so that captions look the same on every machine.
import type { Pixels } from './pixels.js';

export const textHeight = 9;
const advance = 6;

/** Width in pixels of a line of text. */
export const textWidth = (text: string) => advance * [...text].length;

/** Nine rows per letter from top to bottom, each a base-32 digit whose bits are the dots from left to right. */
const glyphs: Record<string, string> = {
  ' ': '000000000',
  a: '00e1fhf00',
  b: 'gguhhhu00',
  c: '00egghe00',
  d: '11fhhhf00',
  e: '00ehvge00',
  f: '68u888800',
  g: '00fhhhf1e',
  h: 'gguhhhh00',
  i: '40c444e00',
  j: '2062222ic',
  k: 'ggikoki00',
  l: 'c44444e00',
  m: '00qllll00',
  n: '00uhhhh00',
  o: '00ehhhe00',
  p: '00uhhhugg',
  q: '00fhhhf11',
  r: '00moggg00',
  s: '00fge1u00',
  t: '88u888600',
  u: '00hhhhf00',
  v: '00hhha400',
  w: '00lllla00',
  x: '00ha4ah00',
  y: '00hhhhf1e',
  z: '00v248v00',
  '0': 'ehjlphe00',
  '1': '4c4444e00',
  '2': 'eh1248v00',
  '3': 'eh161he00',
  '4': '26aiv2200',
  '5': 'vgu11he00',
  '6': '68guhhe00',
  '7': 'v12488800',
  '8': 'ehhehhe00',
  '9': 'ehhf12c00',
  '-': '000e00000',
  _: '000000v00',
  '.': '00000cc00',
  ',': '000004480',
  '=': '00v0v0000',
  ':': '040004000',
  '%': 'pp248jj00',
  '(': '248884200',
  ')': '842224800',
  '/': '11248gg00',
  '+': '044v44000',
  '?': 'eh1240400',
};

/** Writes one line in black, cut off after `width` pixels. It is drawn in lower case, and unknown characters as `?`. */
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
