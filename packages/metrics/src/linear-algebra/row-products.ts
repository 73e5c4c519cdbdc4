import { dotKernel, ROUND } from './dot-kernel.js';

// R, S = rows of the two panels, L = length of a row

/** Two sets of rows of float64 between which dot products are taken. Valid until panels are made again. */
export type Panels = {
  /** [R, stride]; what lies between L and stride is zero. */
  readonly left: Float64Array;
  /** [S, stride]; the same memory as `left` where the rows are multiplied with each other. */
  readonly right: Float64Array;
  readonly stride: number;
  /** Results of the last `multiply`: rows i and i + 1 of left with rows j to j + 3 of right, [2, 4]. */
  readonly sums: Float64Array;
  /**
   * @param i - even row of left; j - row of right, a multiple of 4
   * @param from - multiple of 4: numbers of each row before it are left out
   */
  multiply(i: number, j: number, from?: number): void;
};

const PAGE_BYTES = 65_536;
const SUMS_BYTES = 64;

/**
 * Makes room for panels of zeros.
 *
 * @param rightRows - S; without it the left rows are multiplied with each other
 */
export function createPanels(length: number, leftRows: number, rightRows?: number): Panels {
  const { memory, dots } = dotKernel();
  const stride = Math.max(ROUND, ROUND * Math.ceil(length / ROUND));
  const roundUp = (rows: number) => 4 * Math.ceil(rows / 4); // rows past the end are zeros
  const leftSize = roundUp(leftRows) * stride;
  const rightSize = rightRows === undefined ? 0 : roundUp(rightRows) * stride;
  const bytes = SUMS_BYTES + 8 * (leftSize + rightSize);
  const missing = Math.ceil(bytes / PAGE_BYTES) - memory.buffer.byteLength / PAGE_BYTES;
  if (missing > 0) memory.grow(missing);
  const left = new Float64Array(memory.buffer, SUMS_BYTES, leftSize).fill(0);
  const right =
    rightRows === undefined ? left : new Float64Array(memory.buffer, SUMS_BYTES + 8 * leftSize, rightSize).fill(0);
  const row = 8 * stride;
  return {
    left,
    right,
    stride,
    sums: new Float64Array(memory.buffer, 0, 8),
    multiply(i, j, from = 0) {
      const p = left.byteOffset + i * row + 8 * from;
      const r = right.byteOffset + j * row + 8 * from;
      dots(p, p + row, r, r + row, r + 2 * row, r + 3 * row, left.byteOffset + (i + 1) * row, 0);
    },
  };
}

type Rows = Float32Array | Float64Array;

/** Rows of a tile; so many rows of 2048 numbers stay in the cache. */
const TILE = 64;

/** One tile of products: rows `first` + i of a with rows `second` + j of b. */
export type ProductTile = {
  readonly first: number;
  readonly second: number;
  readonly rows: number;
  readonly columns: number;
  /** a[first + i] · b[second + j] at [i · columns + j], valid until the next tile. */
  readonly products: Float64Array;
};

/**
 * All dot products of rows of `a` with rows of `b`, [rows, length] each, tile by tile.
 *
 * @param b - without it the rows of `a` are multiplied with each other: only tiles that reach below or on the diagonal
 *   come, those on it whole
 */
export function forEachProductTile(
  length: number,
  a: Rows,
  b: Rows | undefined,
  use: (tile: ProductTile) => void,
): void {
  const other = b ?? a;
  const [aRows, bRows] = [a.length / length, other.length / length];
  const products = new Float64Array(TILE * TILE);
  const panels = createPanels(length, TILE, TILE);
  for (let first = 0; first < aRows; first += TILE) {
    const rows = Math.min(TILE, aRows - first);
    copyRows(a, first, rows, length, panels.left, panels.stride);
    for (let second = 0; second < (b ? bRows : first + rows); second += TILE) {
      const columns = Math.min(TILE, bRows - second);
      copyRows(other, second, columns, length, panels.right, panels.stride);
      multiplyTile(panels, rows, columns, products);
      use({ first, second, rows, columns, products });
    }
  }
}

function copyRows(from: Rows, first: number, rows: number, length: number, to: Float64Array, stride: number): void {
  for (let i = 0; i < rows; i++) to.set(from.subarray((first + i) * length, (first + i + 1) * length), i * stride);
}

function multiplyTile(panels: Panels, rows: number, columns: number, products: Float64Array): void {
  const { sums } = panels;
  for (let j = 0; j < columns; j += 4) {
    for (let i = 0; i < rows; i += 2) {
      panels.multiply(i, j);
      for (let p = 0; p < 2 && i + p < rows; p++) {
        for (let q = 0; q < 4 && j + q < columns; q++) products[(i + p) * columns + j + q] = sums[4 * p + q];
      }
    }
  }
}

/** Typed arrays stay as they are; plain numbers become float64. */
export function typedRows(values: ArrayLike<number>): Rows {
  return values instanceof Float32Array || values instanceof Float64Array ? values : Float64Array.from(values);
}
