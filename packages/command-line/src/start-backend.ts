import { type BackendReport, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { BackendValues } from './backend-options.js';
import { UsageError } from './options.js';

/** Loads the backend, and prints which one runs and why. */
export async function startBackend({ backend = 'auto', device }: Partial<BackendValues>): Promise<BackendReport> {
  tf.enableProdMode(); // keeps tfjs from advertising its Node packages
  try {
    const report = await useBackend(backend, { device });
    for (const { name, reason } of report.skipped) console.error(`backend ${name} not used: ${firstLine(reason)}`);
    console.error(`backend ${report.name}: ${report.reason}`);
    return report;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const firstLine = (text: string) => text.split('\n')[0];

/** The former name. */
export const startEngine = startBackend;
