/**
 * How fast images pass through Inception-v3: 256×256 pixels in, features out, random weights. Wall time counts what other
 * programs do on the machine; CPU time does not, but neither does it see a GPU.
 *
 *   node --import tsx --conditions=@tb/source bench/inception.ts [backend, default auto] [batch, default 32] [file.json]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import type { HostTensor } from '@tb/io';
import { inceptionExtractor, inceptionShapes, inceptionWeights } from '@tb/metrics';
import { type BackendChoice, hostRandom, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

const [backend = 'auto', batchText = '32', target] = process.argv.slice(2);
const batch = Number(batchText);
const SIZE = 256;
const PASSES = 3;

/** Weights that keep activations in range: kernels of variance 2 / inputs, batch statistics of about one. */
function randomWeights() {
  const { normal, uniform } = hostRandom(1);
  const tensors = Object.entries(inceptionShapes()).map(([name, shape]): [string, HostTensor] => {
    const size = shape.reduce((product, length) => product * length, 1);
    const scale = Math.sqrt((2 * shape[0]) / size);
    const draw = shape.length > 1 ? () => scale * normal() : () => 0.5 + uniform();
    return [name, { dtype: 'F32', shape: [...shape], data: Float32Array.from({ length: size }, draw) }];
  });
  return inceptionWeights(Object.fromEntries(tensors));
}

const { name, reason } = await useBackend(backend as BackendChoice);
const extractor = inceptionExtractor(randomWeights(), '');

/** One pass, features read back as an evaluation does. */
async function pass(): Promise<void> {
  const pixels = new Float32Array(batch * SIZE * SIZE * 3).map((_, i) => (i * 31) % 256);
  const images = tf.tensor4d(pixels, [batch, SIZE, SIZE, 3]);
  const { pool, spatial, logits } = extractor.extract(images);
  await Promise.all([pool.data(), spatial!.data(), logits!.data()]);
  tf.dispose([images, pool, spatial!, logits!]);
}

const start = performance.now();
await pass();
const firstSeconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage();
const begin = performance.now();
for (let i = 0; i < PASSES; i++) await pass();
const seconds = (performance.now() - begin) / 1000;
const { user, system } = process.cpuUsage(cpu);

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const result = {
  date: new Date().toISOString().slice(0, 10),
  hardware: `${cpus().length} × ${cpus()[0]?.model}`,
  backend: `${name}: ${reason}`,
  loadAverage: Number(loadavg()[0].toFixed(1)), // of the last minute: what else the machine does
  versions: { node: process.versions.node, '@tensorflow/tfjs-core': tf.version_core, '@tb/metrics': version },
  command: `node --import tsx --conditions=@tb/source bench/inception.ts ${backend} ${batch}`,
  batch,
  firstPassSeconds: Number(firstSeconds.toFixed(2)),
  imagesPerSecond: Number(((PASSES * batch) / seconds).toPrecision(3)),
  cpuSecondsPerImage: Number(((user + system) / 1e6 / (PASSES * batch)).toPrecision(3)),
};
console.log(JSON.stringify(result, null, 2));
if (target) writeFileSync(target, `${JSON.stringify(result, null, 2)}\n`);
