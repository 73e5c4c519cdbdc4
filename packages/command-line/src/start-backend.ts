import { type BackendReport, backendTraits, onCompile, type ProcessGroup, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { BackendValues } from './backend-options.js';
import { createCompileProgress } from './compile-progress.js';
import { UsageError } from './options.js';

/**
 * Loads the backend, and prints which one runs and why.
 *
 * @param processes - the processes whose devices are used together, if there are several
 * @throws UsageError when the backend does not run across processes; BackendError when it does not load
 */
export async function startBackend(
  { backend, device }: BackendValues,
  processes?: ProcessGroup,
): Promise<BackendReport> {
  watchCompiling();
  tf.enableProdMode(); // keeps tfjs from advertising its Node packages
  const report = await useBackend(backend, { device, processes });
  const skipped = report.skipped.map(({ name }) => name).join(' and ');
  const why = skipped && ` (${skipped} did not load: tb-train doctor gives the reasons)`;
  console.error(`backend ${report.name}: ${report.reason}${why}`);
  if (processes && backendTraits().processes.count !== processes.count) {
    throw new UsageError(`backend ${report.name} does not run across processes: use --backend xla, or one process`);
  }
  return report;
}

let isWatching = false;

/** Shows what is compiled, and leaves the time out of speeds. */
function watchCompiling(): void {
  if (isWatching) return;
  isWatching = true;
  onCompile(createCompileProgress());
}
