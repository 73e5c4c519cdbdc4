/** Runs inside the bundle, before TensorFlow.js's specs: makes `xla` the one backend that they test. */
import '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import { setTestEnvs, setupTestFilters } from '@tensorflow/tfjs-core/dist/jasmine_util';
import type { Executor } from '../../src/executor.js';
import { registerBackend } from '../../src/register.js';

type Run = { executor: Executor; include: string; shard: number; shards: number };
const { executor, include, shard, shards } = (globalThis as unknown as { tfjsCoreRun: Run }).tfjsCoreRun;

registerBackend(executor);
setTestEnvs([{ name: 'xla', backendName: 'xla', isDataSync: true }]);
// A program for each of 256 thresholds: minutes of compilation, and nothing that other specs do not run.
const isTooSlow = (name: string) => name.startsWith('threshold xla {} method otsu');

/** Every spec belongs to one share, whatever the order in which they are asked for. */
const isOwn = (name: string) => [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % shards === shard;

setupTestFilters([], (name: string) => name.includes(include) && isOwn(name) && !isTooSlow(name));
