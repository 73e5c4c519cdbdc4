import { drawText, textHeight } from './bitmap-font.js';
import type { Pixels } from './pixels.js';

export type ImageGridOptions = {
  columns: number;
  /** One line of text above each picture. */
  captions?: readonly string[];
  /** Whole number of pixels for every pixel, along both sides (default 1). */
  zoom?: number;
};

const gap = 2;

/** The smallest whole zoom that shows a picture at least `shownWidth` pixels wide, as a caption above it needs. */
export const zoomTo = ({ width }: Pixels, shownWidth: number) => Math.max(1, Math.ceil(shownWidth / width));

/** Pictures of one size side by side, row by row, on white. @throws Error if there are none */
export function imageGrid(pictures: readonly Pixels[], { columns, captions, zoom = 1 }: ImageGridOptions): Pixels {
  if (pictures.length === 0) throw new Error('imageGrid: pictures must not be empty');
  const cellWidth = pictures[0].width * zoom + gap;
  const captionHeight = captions ? textHeight + 3 : 0;
  const cellHeight = pictures[0].height * zoom + captionHeight + gap;
  const rows = Math.ceil(pictures.length / columns);
  const width = columns * cellWidth + gap;
  const height = rows * cellHeight + gap;
  const canvas = { width, height, data: new Uint8Array(width * height * 3).fill(255) };
  for (const [index, picture] of pictures.entries()) {
    const left = gap + (index % columns) * cellWidth;
    const top = gap + Math.floor(index / columns) * cellHeight;
    if (captions) drawText(canvas, captions[index] ?? '', left, top, cellWidth - gap);
    paste(canvas, picture, left, top + captionHeight, zoom);
  }
  return canvas;
}

function paste(canvas: Pixels, picture: Pixels, left: number, top: number, zoom: number): void {
  for (let y = 0; y < picture.height * zoom; y++) {
    for (let x = 0; x < picture.width * zoom; x++) {
      const from = (Math.floor(y / zoom) * picture.width + Math.floor(x / zoom)) * 3;
      canvas.data.set(picture.data.subarray(from, from + 3), ((top + y) * canvas.width + left + x) * 3);
    }
  }
}
