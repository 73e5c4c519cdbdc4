import { hostname } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { XlaBackend } from './backend.js';
import type { PjrtExecutor } from './pjrt/pjrt-executor.js';
import { createProfiler } from './pjrt/profiler.js';
import { writeWholeFile } from './write-whole-file.js';

/**
 * Records what the devices do while `run` runs, kernel by kernel, and writes it as TensorBoard's profile plugin reads it:
 * `pip install tensorboard-plugin-profile`, then `tensorboard --logdir <folder>`. Calls that `run` enqueued belong to the
 * recording as far as they are done when it returns: await a value before.
 *
 * @param folder - made if needed; the file is `plugins/profile/<time>/<host>.xplane.pb` inside
 * @returns what `run` returned
 * @throws Error when the backend in use is not `xla` on a PJRT plugin; PjrtError with the plugin's reason
 */
export async function profile<T>(folder: string, run: () => Promise<T> | T): Promise<T> {
  const backend = tf.backend();
  const { plugin } = backend instanceof XlaBackend ? (backend.executor as Partial<PjrtExecutor>) : {};
  if (!plugin) throw new Error(`profile: the backend must be xla on a PJRT plugin, got ${tf.getBackend()}`);
  const profiler = createProfiler(plugin.table);
  let recording: Uint8Array = new Uint8Array();
  try {
    profiler.start();
    const outcome = await Promise.resolve()
      .then(run)
      .finally(() => {
        recording = profiler.finish();
      });
    writeRecording(folder, recording);
    return outcome;
  } finally {
    profiler.dispose();
  }
}

function writeRecording(folder: string, recording: Uint8Array): void {
  const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_');
  writeWholeFile(join(folder, 'plugins', 'profile', time, `${hostname()}.xplane.pb`), recording);
}
