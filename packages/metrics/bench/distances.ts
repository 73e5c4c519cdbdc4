/**
 * How long evaluation takes once the features are there, on one core: features of the form of Inception-v3's (2048
 * non-negative numbers). Wall time counts what other programs do on the machine; CPU time does not.
 *
 *   node --import tsx --conditions=@tb/source bench/distances.ts [samples, default 10000] [file.json]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { frechetDistance, gaussianStatistics, kernelDistance, manifoldScores } from '@tb/metrics';
import { hostRandom } from '@tb/runtime';

const samples = Number(process.argv[2] ?? 10_000);
const target = process.argv[3];
const dimensions = 2048;

/** Features with correlations: 64 common causes, each feature a rectified mixture of them and separate noise. */
function makeFeatures(seed: number): Float32Array {
  const random = hostRandom(seed);
  const mixing = Float32Array.from({ length: 16 * dimensions }, () => 0.2 * random.normal());
  const features = new Float32Array(samples * dimensions);
  const causes = new Float32Array(64);
  for (let i = 0; i < samples; i++) {
    for (let c = 0; c < causes.length; c++) causes[c] = random.normal();
    for (let k = 0; k < dimensions; k++) {
      let value = 0.4 + 0.3 * (random.uniform() + random.uniform() - 1);
      for (let c = 0; c < 16; c++) value += mixing[c * dimensions + k] * causes[(c + k) % causes.length];
      features[i * dimensions + k] = Math.max(0, value);
    }
  }
  return features;
}

type Time = { seconds: number; cpuSeconds: number };

function measure<T>(name: string, run: () => T): { value: T; time: Time } {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const value = run();
  const { user, system } = process.cpuUsage(cpu);
  const round = (seconds: number) => Number(seconds.toFixed(2));
  const time = { seconds: round((performance.now() - start) / 1000), cpuSeconds: round((user + system) / 1e6) };
  console.log(name.padEnd(40), `${time.seconds} s, of the CPU ${time.cpuSeconds} s`);
  return { value, time };
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const result: Record<string, unknown> = {
  date: new Date().toISOString().slice(0, 10),
  hardware: `${cpus().length} × ${cpus()[0]?.model}, one core used`,
  loadAverage: Number(loadavg()[0].toFixed(1)), // of the last minute: what else the machine does
  versions: { node: process.versions.node, '@tb/metrics': version },
  command: `node --import tsx --conditions=@tb/source bench/distances.ts ${samples}`,
  samples,
  dimensions,
};

/** Measures, and writes what is known so far. */
function record<T>(key: string, name: string, run: () => T): T {
  const { value, time } = measure(name, run);
  result[key] = time;
  if (target) writeFileSync(target, `${JSON.stringify(result, null, 2)}\n`);
  return value;
}

const [first, second] = [makeFeatures(1), makeFeatures(2)];
const set = (values: Float32Array) => ({ values, dimensions });
const statistics = record('covariance', 'mean and covariance', () => gaussianStatistics(first, dimensions));
const other = gaussianStatistics(second, dimensions);
record('frechetDistance', 'Fréchet distance', () => frechetDistance(statistics, other));
record('manifoldScores', 'precision, recall, density, coverage', () => manifoldScores(set(first), set(second)));
const random = hostRandom(3).uniform;
record('kernelDistance', 'KID, 100 subsets of 1,000', () => kernelDistance(set(first), set(second), { random }));
