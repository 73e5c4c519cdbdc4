import { drawText, textHeight, textWidth } from './bitmap-font.js';
import type { Pixels } from './pixels.js';

/** Options of `imageGrid`. */
export type ImageGridOptions = {
  columns: number;
  /** One line of text above each image. */
  captions?: readonly string[];
  /** One line of text to the left of each row. */
  rowLabels?: readonly string[];
  /** Integer factor by which every image is enlarged (default 1). */
  zoom?: number;
};

const gap = 2;

/** The smallest zoom that shows an image at least `shownWidth` pixels wide, so that a caption fits above it. */
export const zoomTo = ({ width }: Pixels, shownWidth: number) => Math.max(1, Math.ceil(shownWidth / width));

/** Draws images of one size side by side, row by row, on white. @throws Error if there are none */
export function imageGrid(
  images: readonly Pixels[],
  { columns, captions, rowLabels = [], zoom = 1 }: ImageGridOptions,
): Pixels {
  if (images.length === 0) throw new Error('imageGrid: images must not be empty');
  const cellWidth = images[0].width * zoom + gap;
  const captionHeight = captions ? textHeight + 3 : 0;
  const cellHeight = images[0].height * zoom + captionHeight + gap;
  const rows = Math.ceil(images.length / columns);
  const labelWidth = Math.max(0, ...rowLabels.map(textWidth));
  const margin = gap + (labelWidth > 0 ? labelWidth + 2 * gap : 0);
  const width = margin + columns * cellWidth;
  const height = rows * cellHeight + gap;
  const canvas = { width, height, data: new Uint8Array(width * height * 3).fill(255) };
  for (const [row, label] of rowLabels.entries()) {
    const middle = row * cellHeight + captionHeight + (images[0].height * zoom - textHeight) / 2;
    drawText(canvas, label, gap, gap + Math.max(0, Math.floor(middle)), labelWidth);
  }
  for (const [index, image] of images.entries()) {
    const left = margin + (index % columns) * cellWidth;
    const top = gap + Math.floor(index / columns) * cellHeight;
    if (captions) drawText(canvas, captions[index] ?? '', left, top, cellWidth - gap);
    paste(canvas, image, left, top + captionHeight, zoom);
  }
  return canvas;
}

function paste(canvas: Pixels, image: Pixels, left: number, top: number, zoom: number): void {
  for (let y = 0; y < image.height * zoom; y++) {
    for (let x = 0; x < image.width * zoom; x++) {
      const from = (Math.floor(y / zoom) * image.width + Math.floor(x / zoom)) * 3;
      canvas.data.set(image.data.subarray(from, from + 3), ((top + y) * canvas.width + left + x) * 3);
    }
  }
}
