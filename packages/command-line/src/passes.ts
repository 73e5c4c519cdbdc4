import { prepareFolder } from './files.js';
import { createProgressLine } from './progress-line.js';
import { listenForStop } from './stop-signal.js';

// Passes over the images of an evaluation, which tb-metrics and tb-sample run in the same way.

/** What the options of an evaluation say about its passes. */
type PassValues = { batch: number; keep: number; maxPixels?: number; resume?: string };

/** The same as @tb/metrics takes it, with the progress shown and the stop signal listened to. */
type PassOptions = {
  batchSize: number;
  keep: number;
  maxPixels?: number;
  workFolder?: string;
  signal?: AbortSignal;
  onFound: (summary: string) => void;
  onProgress: (what: string, done: number, total: number) => void;
  onStage: (what: string) => void;
};

/**
 * Runs an evaluation with a progress line. With `--resume`, the first signal saves what was gathered.
 *
 * @returns what `work` returns, or undefined when a signal ended it, with its exit code set
 */
export async function withPasses<Result>(
  { batch, keep, maxPixels, resume }: PassValues,
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
