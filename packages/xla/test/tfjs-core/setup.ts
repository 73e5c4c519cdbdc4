/** Runs inside the bundle, before TensorFlow.js's specs: makes `xla` the one backend that they test. */
import '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import { setTestEnvs, setupTestFilters } from '@tensorflow/tfjs-core/dist/jasmine_util';
import type { Executor } from '../../src/executor.js';
import { registerBackend } from '../../src/register.js';

const { executor, include } = (globalThis as unknown as { tfjsCoreRun: { executor: Executor; include: string } })
  .tfjsCoreRun;

registerBackend(executor);
setTestEnvs([{ name: 'xla', backendName: 'xla', isDataSync: true }]);
// A program for each of 256 thresholds: minutes of compilation, and nothing that other specs do not run.
const isTooSlow = (name: string) => name.startsWith('threshold xla {} method otsu');

setupTestFilters([], (name: string) => name.includes(include) && !isTooSlow(name));
