/**
 * Training on several devices and in micro-batches: images a second, whether the losses agree, what it takes.
 *
 *     node --import tsx --conditions=@tb/source bench/parallel-train.ts --devices 2 --out bench/results/parallel.json
 *
 * First a small model without dropout in float32, whose losses must not depend on devices and micro-batches; then the
 * preset with dropout, in each of `--cases` (devices x micro-batches), with `--pictures` for a device at once. The file is
 * written after each; a case that fails leaves its error there, and the others still run. Each case compiles a program of
 * its own, about two minutes for `large`, which the folder TB_XLA_CACHE keeps: `--parts` and `--cases` choose, and what
 * several calls measured gathers in the file.
 */
import { backendTraits } from '@tb/runtime';
import { presets, type TokenBridgeConfig } from '@tb/tokenbridge';
import { open, partsOf, rounded } from './large-model.js';
import { type Case, measureAgreement, measureSpeed, parseCases } from './parallel-run.js';
import { describe, report } from './results.js';

const { values, config, precision } = await open({
  devices: { type: 'string', default: '2' },
  cases: { type: 'string' },
  pictures: { type: 'string', default: '32' },
  steps: { type: 'string', default: '10' },
  parts: { type: 'string', default: 'agreement,speed' },
});
const devices = Number(values.devices);
const pictures = Number(values.pictures);
const cases = parseCases(values.cases ?? `1x1,${devices}x1,${devices}x4`);
/** Losses of float32 runs that differ only in the order of their sums. */
const TOLERANCE = 1e-3;

const block = { width: 160, depth: 1, heads: 4 };
const small: TokenBridgeConfig = {
  ...presets.tiny,
  backbone: { ...presets.tiny.backbone, encoder: block, decoder: block },
  head: { ...presets.tiny.head, depth: 1 },
};

/** Runs a part and adds what it found to the file at once. */
async function measure(name: string, part: () => Promise<Record<string, unknown>>): Promise<void> {
  let found: Record<string, unknown>;
  try {
    found = await part();
  } catch (error) {
    found = { error: error instanceof Error ? error.message : String(error) };
    process.exitCode = 1;
  }
  report(
    describe({ preset: values.preset, precision, pictures, devicesHere: backendTraits().deviceCount, [name]: found }),
    values.out,
  );
  speeds[name] = found.imagesPerSecond as number | undefined;
}
const speeds: Record<string, number | undefined> = {};

async function agreement() {
  const common = { config: small, precision: 'fp32', dropout: false, batch: 8 * devices } as const;
  const found = await measureAgreement(
    parseCases(`1x1,${devices}x1,${devices}x2`).map((each): Case => ({ ...common, ...each })),
    5,
  );
  if (!(found.largestDeviation < TOLERANCE && found.spread === 0)) process.exitCode = 1;
  return found;
}

const parts = partsOf(values.parts, ['agreement', 'speed']);
if (parts.includes('agreement')) await measure('agreement', agreement);
for (const each of parts.includes('speed') ? cases : []) {
  const batch = pictures * each.devices * each.microBatches;
  await measure(`${each.devices}x${each.microBatches}`, () =>
    measureSpeed({ ...each, config, precision, dropout: true, batch }, Number(values.steps)),
  );
}
const [one, all] = [speeds['1x1'], speeds[`${devices}x1`]];
if (one && all && devices > 1) {
  const scalingEfficiency = rounded(all / one / devices);
  report(describe({ preset: values.preset, precision, scalingEfficiency }), values.out);
}
process.exit();
