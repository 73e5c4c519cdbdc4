// Speed of quantization, one thread: 2^20 float32 values, B = 64. Usage: pnpm bench [results.json]
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { float32Paths } from '../src/float32-path.js';
import { createQuantizer } from '../src/index.js';

const VALUES = 2 ** 20;
const LEVELS = 64;
const CHANNELS = 16;
const REQUIRED = 150e6;

/** Values per second of the fastest of `rounds` passes; the fastest is the one that other processes disturbed least. */
function valuesPerSecond(rounds: number, pass: () => void): number {
  for (let i = 0; i < Math.min(rounds, 20); i++) pass(); // compile
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    pass();
    fastest = Math.min(fastest, performance.now() - start);
  }
  return (VALUES / fastest) * 1000;
}

/** The obvious loop: compare with every codeword. */
function nearestOfAll(x: Float32Array, values: Float32Array, out: Uint8Array): void {
  for (let i = 0; i < x.length; i++) {
    let best = 0;
    let bestDistance = Number.POSITIVE_INFINITY;
    for (let level = 0; level < values.length; level++) {
      const distance = Math.abs(x[i] - values[level]);
      if (distance < bestDistance) {
        best = level;
        bestDistance = distance;
      }
    }
    out[i] = best;
  }
}

const x = Float32Array.from({ length: VALUES }, () => {
  const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
  return radius * Math.cos(2 * Math.PI * Math.random()); // standard normal
});
const out = new Uint8Array(VALUES);
const shared = createQuantizer({ levels: LEVELS });
const perChannel = createQuantizer({
  levels: LEVELS,
  min: Array.from({ length: CHANNELS }, (_, channel) => -5 - channel / 10),
  max: 5,
});
const paths = float32Paths([shared.float32Thresholds()]);

const results: Record<string, number> = {
  'quantize, one interval': valuesPerSecond(300, () => shared.quantize(x, out)),
  'quantize, 16 intervals': valuesPerSecond(300, () => perChannel.quantize(x, out)),
  'quantize without WebAssembly': valuesPerSecond(100, () => paths.table?.(x, out)),
  'binary search': valuesPerSecond(10, () => paths.search(x, out)),
  dequantize: valuesPerSecond(100, () => shared.dequantize(out)),
  'nearest of 64, obvious loop': valuesPerSecond(5, () => nearestOfAll(x, shared.float32Values, out)),
};
const obvious = results['nearest of 64, obvious loop'];
console.log(`${VALUES} float32 values, B = ${LEVELS}, one thread`);
for (const [name, rate] of Object.entries(results)) {
  const [millions, ratio] = [(rate / 1e6).toFixed(1), (rate / obvious).toFixed(1)];
  console.log(`${name.padEnd(30)} ${millions.padStart(8)} M values/s   ${ratio.padStart(6)} × the obvious loop`);
}

const report = {
  date: new Date().toISOString(),
  hardware: cpus()[0]?.model ?? 'unknown',
  versions: { node: process.versions.node, v8: process.versions.v8 },
  values: VALUES,
  levels: LEVELS,
  simd: paths.simd !== undefined,
  valuesPerSecond: results,
  ratioToObviousLoop: results['quantize, one interval'] / obvious,
};
const file = process.argv[2]
  ? resolve(process.argv[2])
  : fileURLToPath(new URL('results/quantize.json', import.meta.url));
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
console.log(`written to ${file}`);
if (results['quantize, one interval'] < REQUIRED) {
  console.error(`below the required ${REQUIRED / 1e6} M values/s`);
  process.exitCode = 1;
}
