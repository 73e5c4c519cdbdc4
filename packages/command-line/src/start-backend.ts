import { type BackendReport, onCompile, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { BackendValues } from './backend-options.js';
import { createCompileProgress } from './compile-progress.js';

/** Loads the backend, and prints which one runs and why. */
export async function startBackend({ backend, device }: BackendValues): Promise<BackendReport> {
  watchCompiling();
  tf.enableProdMode(); // keeps tfjs from advertising its Node packages
  const report = await useBackend(backend, { device });
  const skipped = report.skipped.map(({ name }) => name).join(' and ');
  const why = skipped && ` (${skipped} did not load: tb-train doctor gives the reasons)`;
  console.error(`backend ${report.name}: ${report.reason}${why}`);
  return report;
}

let isWatching = false;

/** Shows what is compiled, and leaves the time out of speeds. */
function watchCompiling(): void {
  if (isWatching) return;
  isWatching = true;
  onCompile(createCompileProgress());
}
