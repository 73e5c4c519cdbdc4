/**
 * Complete jobs through the real command lines: caching latents, training, sampling and FID, on an ImageNet-like folder that is made
 * from the demo's photographs. Start-up and speed apart, with empty and with filled cache of compiled programs. Prints the tables
 * of docs/xla.md and merges the figures into `--out`.
 *
 *   node --import tsx --conditions=@tb/source bench/jobs.ts [--out bench/results/jobs.json] [--entry source|built]
 *     [--backend xla] [--preset large] [--image-size 256] [--images 4096] [--classes 1000] [--batch 64] [--steps 60]
 *     [--samples 256] [--sample-steps 64] [--inception weights] [--work folder]
 *
 * `--inception` names the weights of Inception-v3; without it the FID is left out.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type BackendChoice, useBackend } from '@tb/runtime';
import { type CommandRun, runCommand, secondsOf, startAndRate } from './job-command.js';
import { type JobFigures, jobTable, projectionTable } from './job-projection.js';
import { describe, report } from './results.js';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    entry: { type: 'string', default: 'source' },
    backend: { type: 'string', default: 'xla' },
    preset: { type: 'string', default: 'large' },
    'image-size': { type: 'string', default: '256' },
    images: { type: 'string', default: '4096' },
    classes: { type: 'string', default: '1000' },
    batch: { type: 'string', default: '64' },
    steps: { type: 'string', default: '60' },
    samples: { type: 'string', default: '256' },
    'sample-steps': { type: 'string', default: '64' },
    inception: { type: 'string' },
    work: { type: 'string' },
  },
});
const work = values.work ?? mkdtempSync(join(tmpdir(), 'tokenbridge-jobs-'));
const inWork = (name: string) => join(work, name);
const { backend, preset, images, classes } = values;
const vae = inWork('vae.safetensors');
const model = inWork('model.safetensors');

function command(program: Parameters<typeof runCommand>[0], args: readonly string[]): Promise<CommandRun> {
  console.error(`${program} ${args.join(' ')}`);
  const entry = values.entry === 'built' ? 'built' : 'source';
  const env = { TB_XLA_CACHE: inWork('programs') };
  return runCommand(program, [...args, '--backend', backend], { entry, env });
}

function makeInputs(): void {
  if (existsSync(model)) return;
  const program = fileURLToPath(new URL(`./job-inputs${extname(import.meta.url)}`, import.meta.url));
  const sizes = ['--preset', preset, '--images', images, '--classes', classes, '--image-size', values['image-size']];
  const args = [program, '--folder', work, '--backend', backend, ...sizes];
  execFileSync(process.execPath, [...process.execArgv, ...args], { stdio: 'inherit' });
}

async function measureCache(): Promise<JobFigures> {
  const out = inWork('cache');
  rmSync(out, { recursive: true, force: true });
  const size = ['--image-size', values['image-size'], '--batch', values.batch];
  const { lines } = await command('tb-train', [
    'cache',
    '--data',
    inWork('images'),
    '--vae',
    vae,
    '--out',
    out,
    ...size,
  ]);
  const measured = startAndRate(lines);
  return { cacheStartSeconds: measured?.startSeconds, cacheImagesPerSecond: measured?.imagesPerSecond };
}

/** @returns seconds to the first step and to the last program, and images per second of the last half of the steps */
async function trainOnce(steps: string) {
  const out = inWork('run');
  rmSync(out, { recursive: true, force: true });
  const sizes = ['--preset', preset, '--batch', values.batch, '--steps', steps, '--checkpoint-every', steps];
  const args = ['model', '--cache', inWork('cache'), '--out', out, ...sizes];
  const { lines } = await command('tb-train', args);
  const log = readFileSync(join(out, 'log.jsonl'), 'utf8').trim().split('\n');
  const rates = log
    .map((text) => JSON.parse(text) as { event: string; imagesPerSecond?: number })
    .flatMap(({ event, imagesPerSecond }) => (event === 'step' ? [imagesPerSecond!] : []))
    .slice(Math.floor(Number(steps) / 2))
    .sort((a, b) => a - b);
  return {
    firstStep: secondsOf(lines, /^step 1\//),
    allReady: secondsOf(lines, / (compiled in|loaded from the cache folder in) /, 'last'),
    rate: rates[Math.floor(rates.length / 2)],
  };
}

async function measureTraining(): Promise<JobFigures> {
  const cold = await trainOnce(values.steps);
  const cached = await trainOnce(values.steps);
  return {
    trainFirstStepColdSeconds: cold.firstStep,
    trainAllReadyColdSeconds: cold.allReady,
    trainFirstStepCachedSeconds: cached.firstStep,
    trainImagesPerSecond: cached.rate,
  };
}

async function sample(count: number, batch: number): Promise<CommandRun> {
  const out = inWork('samples');
  rmSync(out, { recursive: true, force: true });
  const args = ['generate', '--model', model, '--vae', vae, '--classes', '0', '--count', String(count), '--out', out];
  return command('tb-sample', [...args, '--batch', String(batch), '--num-iter', values['sample-steps']]);
}

async function measureSampling(): Promise<JobFigures> {
  const cold = await sample(1, 1);
  const cached = await sample(1, 1);
  const batch = Math.min(Number(values.batch), Math.ceil(Number(values.samples) / 2));
  await sample(batch, batch); // fills the cache of programs
  const many = startAndRate((await sample(Number(values.samples), batch)).lines);
  return {
    sampleOneColdSeconds: cold.seconds,
    sampleOneCachedSeconds: cached.seconds,
    sampleStartSeconds: many?.startSeconds,
    sampleImagesPerSecond: many?.imagesPerSecond,
  };
}

async function measureFid(): Promise<JobFigures> {
  if (values.inception === undefined) return {};
  const args = ['fid', inWork('samples'), inWork('samples'), '--weights', values.inception];
  const { seconds } = await command('tb-metrics', args);
  return { fidSeconds: seconds, fidImages: 2 * Number(values.samples) };
}

makeInputs();
rmSync(inWork('programs'), { recursive: true, force: true });
const figures: JobFigures = {
  ...(await measureCache()),
  ...(await measureTraining()),
  ...(await measureSampling()),
  ...(await measureFid()),
};
await useBackend(backend as BackendChoice); // for what it reports of the hardware
report(describe({ preset, backend, ...figures }), values.out);
console.log(`${jobTable(figures)}\n\n${projectionTable(figures)}`);
if (values.work === undefined) rmSync(work, { recursive: true });
