// The latent map drawn over an image: one square for each position.
import { useLayoutEffect, useRef } from 'preact/hooks';

/** Red, green, blue in 0 … 255 and opacity in 0 … 1. */
export type Colour = readonly [number, number, number, number];

export type Grid = { height: number; width: number };

/** Draws one square for each position, in its colour. */
export function PositionMap({ grid, colourOf }: { grid: Grid; colourOf(position: number): Colour }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const context = canvas.current!.getContext('2d')!;
    const pixels = context.createImageData(grid.width, grid.height);
    for (let position = 0; position < grid.width * grid.height; position++) {
      const [red, green, blue, opacity] = colourOf(position);
      pixels.data.set([red, green, blue, opacity * 255], position * 4);
    }
    context.putImageData(pixels, 0, 0);
  });
  return <canvas ref={canvas} class="map" width={grid.width} height={grid.height} />;
}

/** Anchors of viridis, whose lightness grows evenly, also for people who see few colours. */
const viridis = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 74, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [109, 205, 89],
  [180, 222, 44],
  [253, 231, 37],
] as const;

/** The colour of a share in 0 … 1, from dark violet to yellow. */
export function heat(share: number, opacity = 1): Colour {
  const place = Math.min(1, Math.max(0, share)) * (viridis.length - 1);
  const [low, high] = [viridis[Math.floor(place)], viridis[Math.ceil(place)]];
  const mixed = (channel: 0 | 1 | 2) => low[channel] + (high[channel] - low[channel]) * (place % 1);
  return [mixed(0), mixed(1), mixed(2), opacity];
}
