/**
 * Weak scaling: training steps on 1, 2, … devices with the same number of images on each, next to what the cost model
 * predicts for fleets that were not measured.
 *
 *     node --import tsx --conditions=@tb/source bench/scale.ts --devices 1,2,4,8 --out bench/results/scale.json
 *     node --import tsx --conditions=@tb/source bench/scale.ts --predict
 *
 * Among several processes (`tb-train launch`, SLURM, …), all devices of all of them are measured, and process 0 reports:
 *
 *     tb-train launch --hosts a,b -- node --import tsx --conditions=@tb/source bench/scale.ts --out scale.json
 */
import { readFileSync } from 'node:fs';
import { joinCluster } from '@tb/command-line/compute';
import { backendTraits } from '@tb/runtime';
import { open, rounded } from './large-model.js';
import { measureSpeed } from './parallel-run.js';
import { describe, report } from './results.js';
import { predictionText } from './scale-table.js';

if (process.argv.includes('--predict')) {
  const results = new URL('results/parallel.json', import.meta.url);
  console.log(predictionText(JSON.parse(readFileSync(results, 'utf8'))));
} else {
  await measure();
}

async function measure(): Promise<void> {
  const group = await joinCluster({});
  const { values, config, precision } = await open(
    {
      devices: { type: 'string' },
      images: { type: 'string', default: '32' },
      microBatches: { type: 'string', default: '1' },
      steps: { type: 'string', default: '10' },
    },
    group,
  );
  const { deviceCount, processes } = backendTraits();
  const sizes = group ? [deviceCount] : (values.devices ?? `1,${deviceCount}`).split(',').map(Number);
  const [images, microBatches] = [Number(values.images), Number(values.microBatches)];
  for (const devices of new Set(sizes)) {
    const batch = images * devices * microBatches;
    const common = { config, precision, dropout: true, batch, devices, microBatches };
    const measured = await measureSpeed(common, Number(values.steps));
    const imagesPerSecondAndDevice = rounded(measured.imagesPerSecond / devices);
    const name = `${processes.count} × ${devices / processes.count}`; // processes × devices of each
    const found = { [name]: { ...measured, imagesPerSecondAndDevice } };
    if (processes.index === 0) report(describe({ preset: values.preset, precision, images, ...found }), values.out);
  }
  await group?.close();
  process.exit();
}
