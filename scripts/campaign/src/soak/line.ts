/** A straight line through points by least squares: y ≈ start + slope · x. @throws RangeError for fewer than two different x */
export function fitLine(points: readonly (readonly [x: number, y: number])[]): { start: number; slope: number } {
  const meanOf = (index: 0 | 1) => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [x, y] = [meanOf(0), meanOf(1)];
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
  if (!(spread > 0)) throw new RangeError('fitLine: a line needs points at two places at least');
  const slope = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread;
  return { start: y - slope * x, slope };
}
