// The mask of an edit: how strongly each position is changed, in 0 … 1, row by row.
import type { Grid } from '../parts/position-map.js';

export type Mask = readonly number[];

export const emptyMask = ({ height, width }: Grid): Mask => new Array<number>(height * width).fill(0);

/** The brush: everything within `radius` positions of its middle gets `strength`. */
export type Brush = { radius: number; strength: number };

/**
 * Paints along a line, as a pointer moves. Coordinates are in positions; (0.5, 0.5) is the middle of the first.
 *
 * @returns the same mask where nothing changed
 */
export function paint(mask: Mask, grid: Grid, from: Point, to: Point, { radius, strength }: Brush): Mask {
  const changed = [...mask];
  let isChanged = false;
  for (let row = 0; row < grid.height; row++)
    for (let column = 0; column < grid.width; column++) {
      const place = row * grid.width + column;
      const middle = { x: column + 0.5, y: row + 0.5 };
      const isTouched = distanceToLine(middle, from, to) <= radius || isInside(to, column, row);
      if (!isTouched || changed[place] === strength) continue;
      changed[place] = strength;
      isChanged = true;
    }
  return isChanged ? changed : mask;
}

export type Point = { x: number; y: number };

const isInside = ({ x, y }: Point, column: number, row: number) => Math.floor(x) === column && Math.floor(y) === row;

function distanceToLine(point: Point, from: Point, to: Point): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((point.x - from.x) * dx + (point.y - from.y) * dy) / length;
  const share = Math.min(1, Math.max(0, along));
  return Math.hypot(point.x - from.x - share * dx, point.y - from.y - share * dy);
}

/** Share of the positions that are painted, at any strength. */
export const paintedShare = (mask: Mask) => mask.filter((strength) => strength > 0).length / mask.length;
