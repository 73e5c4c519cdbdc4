export type Series = { points: readonly { x: number; y: number }[]; colour: string };

const [width, height] = [900, 280];
const margin = { left: 70, right: 15, top: 10, bottom: 30 };
const mostPoints = 1500;

/** Draws lines over steps as an inline SVG. The vertical axis ignores the highest 2%, because a run may start with spikes. */
export function lossChart(series: readonly Series[]): string {
  const all = series.flatMap(({ points }) => points);
  if (all.length === 0) return '<p>Nothing logged yet.</p>';
  const xs = all.map(({ x }) => x);
  const ys = all.map(({ y }) => y).sort((a, b) => a - b);
  const [left, right] = [minimum(xs), maximum(xs)];
  const low = ys[0];
  const high = ys[Math.min(ys.length - 1, Math.floor(ys.length * 0.98))];
  const scale = (value: number, from: number, to: number, start: number, end: number) =>
    start + ((value - from) / (to - from || 1)) * (end - start);
  const toX = (x: number) => scale(x, left, right, margin.left, width - margin.right);
  const toY = (y: number) => scale(Math.min(y, high), low, high, height - margin.bottom, margin.top);
  const lines = series.map(({ points, colour }) => {
    const path = thin(points).map(({ x, y }) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`);
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${path.join(' ')}"/>`;
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img">${axes(left, right, low, high)}${lines.join('')}</svg>`;
}

function axes(left: number, right: number, low: number, high: number): string {
  const base = height - margin.bottom;
  const text = (x: number, y: number, anchor: string, value: string) =>
    `<text x="${x}" y="${y}" font-size="12" fill="#666" text-anchor="${anchor}">${value}</text>`;
  const shares = high > low ? [0, 0.25, 0.5, 0.75, 1] : [0]; // a constant needs one label
  const ticks = shares.map((share) => {
    const y = base - share * (base - margin.top);
    const grid = `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y}" y2="${y}" stroke="#eee"/>`;
    return grid + text(margin.left - 8, y + 4, 'end', formatTick(low + share * (high - low), (high - low) / 4));
  });
  return `${ticks.join('')}${text(margin.left, height - 8, 'start', String(left))}${text(width - margin.right, height - 8, 'end', String(right))}`;
}

/** Formats a tick with as many decimals as neighbouring ticks need to look different. */
function formatTick(value: number, step: number): string {
  if (value !== 0 && Math.abs(value) < 1e-2) {
    const digits = step > 0 ? Math.ceil(Math.log10(Math.abs(value) / step)) : 1;
    return value.toExponential(Math.min(Math.max(digits, 1), 8));
  }
  const decimals = step > 0 ? Math.min(Math.max(1 - Math.floor(Math.log10(step)), 0), 8) : 4;
  return Number(value.toFixed(decimals)).toString();
}

/** Keeps every nth point, and the last one. */
function thin<Point>(points: readonly Point[]): readonly Point[] {
  const every = Math.ceil(points.length / mostPoints);
  return points.filter((_, index) => index % every === 0 || index === points.length - 1);
}

const minimum = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
const maximum = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
