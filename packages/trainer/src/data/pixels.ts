/** An 8-bit RGB picture, rows from top to bottom: `data[(y * width + x) * 3 + channel]`. */
export type Pixels = { width: number; height: number; data: Uint8Array };

/** The part of a picture that starts at (left, top). */
export function cropPixels({ width, data }: Pixels, left: number, top: number, size: number): Pixels {
  const cut = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    const start = ((top + y) * width + left) * 3;
    cut.set(data.subarray(start, start + size * 3), y * size * 3);
  }
  return { width: size, height: size, data: cut };
}

/** The picture as a mirror shows it: columns in reverse order. */
export function mirrorPixels({ width, height, data }: Pixels): Pixels {
  const mirrored = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      const to = (y * width + width - 1 - x) * 3;
      mirrored[to] = data[from];
      mirrored[to + 1] = data[from + 1];
      mirrored[to + 2] = data[from + 2];
    }
  }
  return { width, height, data: mirrored };
}
