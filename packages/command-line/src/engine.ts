import { type BackendReport, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { choice, type ValuesOf } from './options.js';
import { UsageError } from './resolve.js';

/** Where computation runs. */
export const engineOptions = {
  backend: choice('engine that computes', ['auto', 'xla', 'tensorflow', 'webgpu', 'wasm', 'cpu']),
  device: choice('refuse any other device (backends xla and tensorflow)', ['cpu', 'gpu']),
  precision: choice('of matrix products and convolutions on xla', ['bf16', 'fp32']),
};

export type EngineValues = ValuesOf<typeof engineOptions>;

/** Loads the backend, and says which one runs and why. */
export async function startEngine({ backend = 'auto', device }: EngineValues): Promise<BackendReport> {
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
