#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '@tb/io';
import { hostRandom, useBackend } from '@tb/runtime';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { EvaluationReport } from './evaluation/evaluate.js';
import { type FeatureExtractor, inceptionExtractor } from './evaluation/feature-extractor.js';
import { reportText } from './evaluation/report-text.js';
import { evaluatePaths, type RunOptions, saveReferenceStatistics } from './evaluation/run.js';
import type { InceptionPreprocessing } from './inception/preprocess.js';
import { loadInceptionWeights } from './inception/weights-file.js';

type Flags = {
  weights?: string;
  allowOtherWeights: boolean;
  preprocessing: InceptionPreprocessing;
  backend: 'auto' | 'xla' | 'tensorflow' | 'wasm' | 'cpu';
  batch: number;
  keep: number;
  resamples: number;
  seed: number;
  allowLossy: boolean;
  resume?: string;
  json?: string;
};

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const program = new Command('tb-metrics')
  .description('FID, sFID, KID, Inception Score, precision and recall, with their provenance.')
  .version(version)
  .showHelpAfterError('(--help shows what each command takes)');

withFlags(program.command('fid'))
  .description('compare samples with a reference')
  .argument('<samples>', 'folder of images, or ADM .npz with arr_0')
  .argument('<reference>', 'folder of images, ADM .npz (images or mu, sigma), or a file made by `statistics`')
  .addHelpText('after', '\nExample:\n  npx @tb/metrics fid samples/ adm_in256_stats.npz --backend xla --json fid.json')
  .action((samples: string, reference: string, flags: Flags) => run(() => fid(samples, reference, flags)));

withFlags(program.command('statistics'))
  .description('gather the statistics of a folder or .npz once, as a reference for many runs')
  .argument('<images>', 'folder of images, or ADM .npz with arr_0')
  .argument('<target>', 'file to write, .safetensors')
  .action((images: string, target: string, flags: Flags) => run(() => statistics(images, target, flags)));

await program.parseAsync();

function withFlags(command: Command): Command {
  return command
    .option(
      '--weights <file>',
      'Inception-v3 weights (.pth, .safetensors); default: the caches of this package and PyTorch',
    )
    .option('--allow-other-weights', 'accept weights whose SHA-256 is not the published one', false)
    .addOption(
      new Option('--preprocessing <how>', 'resize and normalization of which evaluator')
        .choices(['tensorflow', 'pytorch-fid'])
        .default('tensorflow'),
    )
    .addOption(
      new Option('--backend <name>', 'engine that runs the network')
        .choices(['auto', 'xla', 'tensorflow', 'wasm', 'cpu'])
        .default('auto'),
    )
    .option('--batch <count>', 'images per forward pass', count(1), 32)
    .option(
      '--keep <count>',
      'images whose features are kept for precision, recall, KID and the interval',
      count(2),
      10_000,
    )
    .option('--resamples <count>', 'bootstrap draws for the confidence interval, 0 for none', count(0), 10)
    .option('--seed <number>', 'seed of the bootstrap and of the subsets of KID', count(0), 0)
    .option('--allow-lossy', 'accept JPEG samples, whose artefacts change the score', false)
    .option('--resume <folder>', 'keep unfinished work there, and go on from it')
    .option('--json <file>', 'write the report as JSON');
}

/** A flag's integer, at least `least`. */
function count(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`must be an integer of at least ${least}.`);
    }
    return value;
  };
}

async function fid(samples: string, reference: string, flags: Flags): Promise<void> {
  const extractor = await prepare(flags);
  const report = await evaluatePaths(samples, reference, extractor, runOptions(flags));
  process.stdout.write(`${reportText(report)}\n`);
  if (flags.json) await writeReport(flags.json, report);
}

async function statistics(images: string, target: string, flags: Flags): Promise<void> {
  const extractor = await prepare(flags);
  const { count: images_, name } = await saveReferenceStatistics(images, target, extractor, runOptions(flags));
  process.stdout.write(`${target}: statistics of ${images_} images of ${name}\n`);
}

async function prepare(flags: Flags): Promise<FeatureExtractor> {
  const { name, reason } = await useBackend(flags.backend);
  process.stderr.write(`backend ${name}: ${reason}\n`);
  const file = await loadInceptionWeights({ path: flags.weights, allowOther: flags.allowOtherWeights });
  process.stderr.write(`weights ${file.path}, SHA-256 ${file.hash}\n`);
  return inceptionExtractor(file.weights, file.hash, flags.preprocessing);
}

function runOptions(flags: Flags): RunOptions {
  return {
    version,
    batchSize: flags.batch,
    keep: flags.keep,
    resamples: flags.resamples,
    allowLossy: flags.allowLossy,
    workFolder: flags.resume,
    random: hostRandom(flags.seed).uniform,
    onProgress: showProgress,
  };
}

/** One line that is rewritten on a terminal; silent elsewhere. */
function showProgress(what: string, done: number, total: number): void {
  if (!process.stderr.isTTY) return;
  const line = `${what}: ${done} of ${total} images (${Math.floor((100 * done) / total)}%)`;
  process.stderr.write(`\r${line}${done === total ? '\n' : ''}`);
}

async function writeReport(path: string, report: EvaluationReport): Promise<void> {
  await writeFileAtomic(path, new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`));
  process.stdout.write(`report written to ${path}\n`);
}

/** Errors of the user's input are a sentence and exit code 1, never a stack trace. */
async function run(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    process.stderr.write(`tb-metrics: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
