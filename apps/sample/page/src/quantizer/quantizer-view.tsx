import { createQuantizer } from '@tb/quantizer';
import { useMemo, useState } from 'preact/hooks';
import type { ModelInfo } from '../../../src/page/messages.js';
import { NumberField } from '../parts/controls.js';

/** Shows how one number is rounded to a codeword, for any number of levels and range. */
export function QuantizerView({ model }: { model: ModelInfo }) {
  const [levels, setLevels] = useState(Math.min(16, model.quantizer.levels));
  const [range, setRange] = useState(3);
  const [value, setValue] = useState(0.4);
  const facts = useMemo(() => factsOf(levels, range), [levels, range]);
  const index = facts.quantizer.quantize(Float32Array.of(value))[0];
  const codeword = facts.values[index];
  return (
    <>
      <h1>How a number is rounded</h1>
      <p>
        The model works with numbers, most of which are near 0, as the curve shows. Each is rounded to the nearest of a
        few allowed values, the marks below the curve. They are closer to each other where numbers are more frequent.
      </p>
      <div class="columns">
        <section aria-label="Settings">
          <NumberField
            label="Levels"
            hint={`${Math.ceil(Math.log2(levels))} bits a number.`}
            value={levels}
            min={2}
            max={256}
            step={1}
            onChange={(next) => setLevels(Math.round(next))}
          />
          <NumberField
            label="Range"
            hint="What is larger is cut off."
            value={range}
            min={0.5}
            max={6}
            step={0.1}
            onChange={setRange}
          />
          <NumberField label="A number to round" value={value} min={-6} max={6} step={0.01} onChange={setValue} />
        </section>
        <section class="results" aria-label="Result">
          <p class="equation" role="status">
            {value.toFixed(2)} → value number {index} → {codeword.toFixed(3)}
            <small> (off by {Math.abs(value - codeword).toFixed(3)})</small>
          </p>
          <Drawing facts={facts} value={value} index={index} />
          <p>
            On average the square of the error is {facts.error.toFixed(4)}, that is {facts.decibels.toFixed(1)} dB, and{' '}
            {(100 * facts.outside).toFixed(2)}% of the numbers are cut off.
          </p>
        </section>
      </div>
    </>
  );
}

type Facts = {
  quantizer: ReturnType<typeof createQuantizer>;
  /** Codewords, ascending [B]. */
  values: readonly number[];
  /** Mean squared error of numbers from a normal distribution, and as a signal-to-noise ratio. */
  error: number;
  decibels: number;
  /** Share of them outside of the range. */
  outside: number;
};

const density = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Samples of the normal distribution at even distances, with their weights. */
const samples = Float32Array.from({ length: 4001 }, (_, place) => -8 + place / 250);

function factsOf(levels: number, range: number): Facts {
  const quantizer = createQuantizer({ levels, min: -range, max: range });
  const indices = quantizer.quantize(samples);
  const restored = quantizer.dequantize(indices);
  let [error, outside, total] = [0, 0, 0];
  for (const [place, x] of samples.entries()) {
    const weight = density(x);
    total += weight;
    error += weight * (x - restored[place]) ** 2;
    if (Math.abs(x) > range) outside += weight;
  }
  const values = Array.from(quantizer.dequantize(Uint16Array.from({ length: levels }, (_, level) => level)));
  return {
    quantizer,
    values,
    error: error / total,
    decibels: -10 * Math.log10(error / total),
    outside: outside / total,
  };
}

const [width, height, base] = [640, 220, 190];
const toX = (x: number) => width / 2 + (x / 6.4) * (width / 2);

function Drawing({ facts, value, index }: { facts: Facts; value: number; index: number }) {
  const curve = Array.from({ length: 129 }, (_, place) => {
    const x = -6.4 + place / 10;
    return `${toX(x).toFixed(1)},${(base - density(x) * 400).toFixed(1)}`;
  }).join(' ');
  return (
    <svg class="curve" viewBox={`0 0 ${width} ${height}`} role="img" aria-label="Where the allowed values are">
      <polyline points={curve} class="density" />
      <line x1={0} x2={width} y1={base} y2={base} class="ground" />
      {facts.values.map((codeword, level) => (
        <line
          key={level}
          x1={toX(codeword)}
          x2={toX(codeword)}
          y1={base - 6}
          y2={base + (level === index ? 22 : 10)}
          class={level === index ? 'codeword nearest' : 'codeword'}
        />
      ))}
      <circle cx={toX(value)} cy={base} r={6} class="value" />
    </svg>
  );
}
