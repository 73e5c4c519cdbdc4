import { useEffect, useRef, useState } from 'preact/hooks';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Series } from './run-log.js';

/** One curve of a chart. */
export type Curve = { name: string; colour: string; series: Series };

type Props = { title: string; curves: readonly Curve[]; isLogarithmic: boolean };

const height = 220;

/** A chart of curves over steps, which follows them as they grow. */
export function LineChart({ title, curves, isLogarithmic }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const shape = `${curves.map(({ name, colour }) => `${name}${colour}`).join()}${isLogarithmic}`;
  const scheme = useColourScheme();
  useEffect(() => {
    const element = place.current!;
    plot.current = new UPlot(optionsOf(curves, isLogarithmic, element.clientWidth), joined(curves), element);
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
    };
  }, [shape, scheme]);
  useEffect(() => plot.current?.setData(joined(curves)), [curves]);
  return (
    <figure class="chart">
      <figcaption>
        <h2>{title}</h2>
        <p class="hint">{curves.map(describe).join('; ')}</p>
      </figcaption>
      <div ref={place} role="img" aria-label={`${title} over steps`} />
    </figure>
  );
}

const describe = ({ name, series: { steps, values } }: Curve) =>
  values.length === 0
    ? `${name}: no values`
    : `${name}: ${short(values[values.length - 1])} at step ${steps[steps.length - 1]}`;

const short = (value: number) =>
  Math.abs(value) >= 0.001 || value === 0 ? String(Number(value.toPrecision(4))) : value.toExponential(2);

/** The curves on one axis of steps; a curve has nothing at the steps of others. */
function joined(curves: readonly Curve[]): UPlot.AlignedData {
  if (curves.length === 1) return [curves[0].series.steps, curves[0].series.values];
  return UPlot.join(curves.map(({ series: { steps, values } }) => [steps, values])) as UPlot.AlignedData;
}

function optionsOf(curves: readonly Curve[], isLogarithmic: boolean, width: number): UPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const [ink, line] = [style.getPropertyValue('--soft-ink').trim(), style.getPropertyValue('--line').trim()];
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  return {
    width,
    height,
    cursor: { drag: { x: true, y: false } },
    legend: { show: true, live: true },
    scales: { x: { time: false }, y: { distr: isLogarithmic ? 3 : 1 } },
    axes: [
      axis,
      { ...axis, size: 64, values: (_, splits) => splits.map((value) => (value === null ? '' : short(value))) },
    ],
    series: [
      { label: 'Step' },
      ...curves.map(({ name, colour }) => ({
        label: name,
        stroke: colour,
        width: 1.75,
        spanGaps: true,
        points: { show: curves[0].series.steps.length < 3 },
        value: (_: UPlot, value: number | null) => (value === null ? '–' : short(value)),
      })),
    ],
  };
}

/** Dark or light, followed as it changes. */
function useColourScheme(): string {
  const [query] = useState(() => matchMedia('(prefers-color-scheme: dark)'));
  const [isDark, setDark] = useState(query.matches);
  useEffect(() => {
    const change = () => setDark(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, [query]);
  return isDark ? 'dark' : 'light';
}
