import { excludeFromSpeed, formatDuration, printMessage } from '@tb/io';
import { type BackendReport, type CompileEvent, onCompile, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { BackendValues } from './backend-options.js';

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

/** Prints what is compiled, and leaves the time out of speeds. */
function watchCompiling(): void {
  if (isWatching) return;
  isWatching = true;
  onCompile((event) => {
    const line = describeCompiling(event);
    if (line !== undefined) printMessage(line);
    if (event.state === 'ready') excludeFromSpeed(event.seconds);
  });
}

/** Programs of less than this are not worth a line. */
const shortest = 1;

/** A line about a program that is compiled or loaded; undefined where that is too quick to be noticed. */
export function describeCompiling(event: CompileEvent): string | undefined {
  const name = event.name || 'a program';
  if (event.state === 'begun') {
    const { isCached, expectedSeconds } = event;
    if (isCached || (expectedSeconds !== undefined && expectedSeconds < shortest)) return undefined;
    return `compiling ${name}${expectedSeconds === undefined ? '' : ` (${formatDuration(expectedSeconds)} last time)`}`;
  }
  if (event.seconds < shortest) return undefined;
  const took = formatDuration(event.seconds);
  return event.isCached ? `${name} loaded from the cache folder in ${took}` : `${name} compiled in ${took}`;
}
