/** An 8-bit RGB image, rows from top to bottom: `data[(y * width + x) * 3 + channel]`. */
export type Pixels = { width: number; height: number; data: Uint8Array };

/** Splits RGB bytes [N, side, side, 3] into images, which are views of the same memory. */
export function squareImages(bytes: Uint8Array, side: number): Pixels[] {
  const length = side * side * 3;
  return Array.from({ length: bytes.length / length }, (_, i) => ({
    width: side,
    height: side,
    data: bytes.subarray(i * length, (i + 1) * length),
  }));
}

/** Cuts out the rectangle whose top left corner is (left, top). It must lie inside the image. */
export function cropPixels({ width: stride, data }: Pixels, left: number, top: number, width: number, height: number) {
  const cut = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * stride + left) * 3;
    cut.set(data.subarray(start, start + width * 3), y * width * 3);
  }
  return { width, height, data: cut };
}

/** Mirrors the image: columns in reverse order. */
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
