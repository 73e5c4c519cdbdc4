// What both commands do: passes over images that can be stopped and resumed, through the network that the options choose.
import { createProgressLine, listenForStop, prepareFolder } from '@tb/command-line';
import { startBackend } from '@tb/command-line/compute';
import { type FeatureExtractor, inceptionExtractor } from '../evaluation/feature-extractor.js';
import type { RunOptions } from '../evaluation/run.js';
import { findInceptionWeights, loadInceptionWeights } from '../inception/weights-file.js';
import type { StatisticsValues } from './statistics/options.js';

/** Loads Inception-v3. Missing weights are reported before a backend is loaded. */
export async function loadNetwork(values: StatisticsValues): Promise<FeatureExtractor> {
  const path = findInceptionWeights(values.weights);
  await startBackend(values);
  const { weights, hash } = await loadInceptionWeights({ path, allowOther: values.allowOtherWeights });
  console.error(`weights ${path}, SHA-256 ${hash}`);
  return inceptionExtractor(weights, hash, values.preprocessing);
}

type PassOptions = Pick<
  RunOptions,
  'batchSize' | 'keep' | 'maxPixels' | 'workFolder' | 'signal' | 'onFound' | 'onProgress' | 'onStage'
>;

/**
 * Runs an evaluation with a progress line. With `--resume`, the first signal saves what was gathered.
 *
 * @returns what `work` returns, or undefined when a signal ended it, with its exit code set
 */
export async function withPasses<Result>(
  { batch, keep, maxPixels, resume }: StatisticsValues,
  work: (options: PassOptions) => Promise<Result>,
): Promise<Result | undefined> {
  if (resume !== undefined) await prepareFolder('--resume', resume);
  const line = createProgressLine();
  const stop =
    resume === undefined ? undefined : listenForStop(`saving in ${resume}: run the same command again to resume`);
  try {
    return await work({
      batchSize: batch,
      keep,
      maxPixels,
      workFolder: resume,
      signal: stop?.signal,
      onFound: console.error,
      onProgress: (what, done, total) => line.show(done, total, what),
      onStage: (what) => {
        stop?.close(); // nothing more is to be saved, and a signal may end it
        line.stage(what);
      },
    });
  } catch (error) {
    if (!stop?.signal.aborted) throw error;
    process.exitCode = stop.exitCode();
    return undefined;
  } finally {
    line.end();
    stop?.close();
  }
}
