#!/usr/bin/env node
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder, outliveReaders, printable, writeFileAtomic } from '@tb/io';
import { hostRandom, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type FeatureExtractor, inceptionExtractor } from './evaluation/feature-extractor.js';
import { reportFileName, reportText } from './evaluation/report-text.js';
import type { CollectRunOptions } from './evaluation/resumable.js';
import { evaluatePaths, type SampleOptions, saveReferenceStatistics } from './evaluation/run.js';
import type { InceptionPreprocessing } from './inception/preprocess.js';
import { loadInceptionWeights } from './inception/weights-file.js';
import { createProgressLine } from './progress.js';
import { version } from './version.js';

type NetworkFlags = {
  weights?: string;
  allowOtherWeights: boolean;
  preprocessing: InceptionPreprocessing;
  backend: 'auto' | 'xla' | 'tensorflow' | 'wasm' | 'cpu';
  batch: number;
  keep: number;
  resume?: string;
};

type FidFlags = NetworkFlags & { resamples: number; seed: number; allowLossy: boolean; json?: string };

const STOP_SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

const progress = createProgressLine(process.stderr);
const stop = new AbortController();
/** Makes signals end the process at once again: the computations after the last image cannot be interrupted otherwise. */
let forgetStop = () => {};
/** Remove the folders that were made for results, as far as they are empty. */
const undoes: (() => Promise<void>)[] = [];

const program = new Command('tb-metrics')
  .description('FID, sFID, KID, Inception Score, precision and recall, with their provenance.')
  .version(version)
  .showHelpAfterError('(--help shows what each command takes)');

withNetworkFlags(program.command('fid'))
  .description('compare samples with a reference: FID and all other scores')
  .argument('<samples>', 'folder of images, or ADM .npz with arr_0')
  .argument('<reference>', 'folder of images, ADM .npz (images, or mu and sigma), or a file made by `statistics`')
  .option('--resamples <count>', 'bootstrap draws for the confidence interval, 0 for none', count(0), 10)
  .option('--seed <number>', 'seed of the bootstrap and of the subsets of KID', count(0), 0)
  .option('--allow-lossy', 'accept JPEG samples, whose artefacts change the score', false)
  .option('--json <file>', 'where the report is saved (default: <samples>.fid.json in this folder)')
  .addHelpText(
    'after',
    `
Examples:
  npx @tb/metrics fid samples/ adm_in256_stats.npz --backend xla --resume work/ --json fid.json
  npx @tb/metrics fid reconstructions/ originals/            # the rFID of an autoencoder

Precision, recall and KID need the reference's images; statistics alone give FID and sFID.`,
  )
  .action((samples: string, reference: string, flags: FidFlags) => run(flags, () => fid(samples, reference, flags)));

withNetworkFlags(program.command('statistics'))
  .description('gather the statistics of a folder or .npz once, as a reference for many runs')
  .argument('<images>', 'folder of images, or ADM .npz with arr_0')
  .argument('<target>', 'file to write, .safetensors')
  .addHelpText('after', '\nExample:\n  npx @tb/metrics statistics photographs/ photographs.safetensors')
  .action((images: string, target: string, flags: NetworkFlags) => run(flags, () => statistics(images, target, flags)));

outliveReaders();
await program.parseAsync();

function withNetworkFlags(command: Command): Command {
  return command
    .option(
      '--weights <file>',
      'Inception-v3 weights (.pth, .safetensors); default: the caches of this package and PyTorch',
    )
    .option('--allow-other-weights', 'accept weights that are not the published ones; no FID then', false)
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
    .option('--keep <count>', 'images whose features are kept for precision, recall and KID', count(2), 10_000)
    .option('--resume <folder>', 'keep unfinished work there, and go on from it');
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

async function fid(samples: string, reference: string, flags: FidFlags): Promise<void> {
  const { resamples, allowLossy, seed, json = reportFileName(samples) } = flags;
  await assertWritableFile('--json', json);
  const report = await evaluatePaths(samples, reference, () => loadNetwork(flags), {
    ...collectOptions(flags),
    resamples,
    allowLossy,
    random: hostRandom(seed).uniform,
    onStage: (what) => {
      forgetStop();
      progress.stage(what);
    },
  });
  progress.end();
  process.stdout.write(`${reportText(report)}\n`);
  await writeFileAtomic(json, new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`));
  process.stdout.write(`report written to ${json}\n`);
}

async function statistics(images: string, target: string, flags: NetworkFlags): Promise<void> {
  await assertWritableFile('the target', target);
  const saved = await saveReferenceStatistics(images, target, () => loadNetwork(flags), collectOptions(flags));
  process.stdout.write(`${target}: statistics of ${saved.count} images of ${saved.name}\n`);
}

async function loadNetwork(flags: NetworkFlags): Promise<FeatureExtractor> {
  tf.enableProdMode(); // keeps tfjs from advertising its Node packages
  const { name, reason, skipped } = await useBackend(flags.backend);
  for (const each of skipped) process.stderr.write(`backend ${each.name} not used: ${each.reason.split('\n')[0]}\n`);
  process.stderr.write(`backend ${name}: ${reason}\n`);
  const { weights, hash, path } = await loadInceptionWeights({
    path: flags.weights,
    allowOther: flags.allowOtherWeights,
  });
  process.stderr.write(`weights ${path}, SHA-256 ${hash}\n`);
  return inceptionExtractor(weights, hash, flags.preprocessing);
}

function collectOptions({ batch, keep, resume }: NetworkFlags): CollectRunOptions & SampleOptions {
  const onFound = (line: string) => process.stderr.write(`${line}\n`);
  return { batchSize: batch, keep, workFolder: resume, onProgress: progress.show, onFound, signal: stop.signal };
}

/** Before the work whose result the file is to hold. */
async function assertWritableFile(what: string, file: string): Promise<void> {
  undoes.push(await makeFolder(dirname(file), `${what} ${file}`));
  const existing = await stat(file).catch(() => undefined);
  if (existing?.isDirectory()) throw new Error(`${what} ${file} must name a file, and a folder has that name`);
}

/** Errors of the user's input are a sentence without names of functions and exit code 1, never a stack trace. */
async function run(flags: NetworkFlags, action: () => Promise<void>): Promise<void> {
  if (flags.resume !== undefined) saveWhenStopped(flags.resume);
  try {
    if (flags.resume !== undefined) undoes.push(await makeFolder(flags.resume, `--resume ${flags.resume}`));
    await action();
  } catch (error) {
    progress.end();
    const lines = (error as Error).message.replace(/^[a-z]+[A-Z]\w*: /, '').split('\n');
    process.stderr.write(`tb-metrics: ${lines.map(printable).join('\n')}\n`);
    process.exitCode ||= 1;
  } finally {
    for (const undo of undoes.reverse()) await undo();
  }
}

/** The first Ctrl-C or SIGTERM ends the run after the batch in progress; a second one ends the process. */
function saveWhenStopped(folder: string): void {
  const listeners = Object.entries(STOP_SIGNALS).map(([name, exitCode]) => {
    const listener = () => {
      process.exitCode = exitCode;
      stop.abort(new Error(`stopped and saved in ${folder}: the same command goes on from there`));
    };
    process.once(name, listener);
    return { name, listener };
  });
  forgetStop = () => {
    for (const { name, listener } of listeners) process.off(name, listener);
  };
}
