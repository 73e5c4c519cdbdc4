// Does small work for a long time in one process, and prints what the process holds as lines of JSON.
//
//   soak.js training|sampling|requests <folder> <how many> <seconds>
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { runProgram, tableCommand } from '@tb/command-line';
import { disposeTree, randomKey, useBackend } from '@tb/runtime';
import { createImageGenerator, initTokenBridge } from '@tb/tokenbridge';
import { createRunLog, train } from '@tb/trainer';
import { initVae } from '@tb/vae';
import * as tf from '@tensorflow/tfjs-core';
import { allEvents, ask, post, startTestServer } from '../../../apps/sample/test/page-server.js';
import { tinyModel, tinyVae } from '../../../apps/sample/test/tiny-weights.js';
import { toyOptions, toyTask } from '../../../packages/trainer/test/toy-task.js';

/** Work to be done again and again. `done` is called after each piece; work ends when it returns false. */
type Work = (folder: string, most: number, done: () => Promise<boolean>) => Promise<void>;

const kinds: Record<string, Work> = {
  /** The training loop with its log, and a checkpoint every 500 steps. */
  async training(folder, most, done) {
    const controller = new AbortController();
    const task = toyTask();
    const loop = { ...toyOptions(folder), steps: most, checkpointEvery: 500 };
    const log = createRunLog({ out: folder, title: 'soak', config: {}, terminal: { write: () => {} } });
    const openBatches: typeof task.openBatches = (first) => {
      const batches = task.openBatches(first);
      const next = async () => {
        if (!(await done())) controller.abort();
        return batches.next();
      };
      return { ...batches, next };
    };
    const { state } = await train({ ...task, openBatches }, loop, log, controller.signal);
    disposeTree(state);
  },
  /** Batches of two images, decoded. */
  async sampling(_, most, done) {
    const key = randomKey(1);
    const model = { params: initTokenBridge(key, tinyModel), config: tinyModel };
    const vae = { params: initVae(key, tinyVae), config: tinyVae };
    const generator = createImageGenerator({ model, vae, batchSize: 2, steps: 2 });
    for (let batch = 0; batch < most; batch++) {
      const request = { labels: [0, 1], seeds: [batch, most + batch] };
      for await (const { images } of generator.generate(request)) if (images.length !== 2) throw new Error('no images');
      if (!(await done())) break;
    }
  },
  /** Requests to the page's server: one in fifty generates an image. */
  async requests(_, most, done) {
    const server = await startTestServer();
    const settings = { guidance: 2, guidanceSchedule: 'linear', temperature: 1, steps: 1, order: 'random' };
    for (let request = 0; request < most; request++) {
      if (request % 50 === 49) {
        const body = { ...settings, seed: request, count: 1, previewEvery: 1, classes: [0] };
        await allEvents(await post(server.address, 'api/generate', body));
      } else await ask(server.address, ['/', '/api/model', '/api/classes/1.png', '/nowhere'][request % 4]);
      if (!(await done())) break;
    }
    await server.close();
  },
};

const program = tableCommand('soak', {}, async (_, [kind, folder, most, seconds]) => {
  await useBackend(kind === 'training' ? 'cpu' : 'wasm', { threads: 1 }); // more would be counted too
  const total = Number(most);
  const end = performance.now() + 1000 * Number(seconds);
  const every = Math.max(1, Math.floor(total / 400));
  let count = 0;
  await kinds[kind](folder, total, async () => {
    count++;
    if (count % every === 0) console.log(JSON.stringify(await measure(count)));
    return performance.now() < end;
  });
});
await runProgram(program.argument('<arguments...>'));

/** What this process holds: memory in MiB, tensors, open descriptors and threads. */
async function measure(done: number) {
  globalThis.gc?.();
  await pause(1); // lets what was closed be closed
  const count = (folder: string) => readdirSync(folder).length;
  return {
    done,
    memory: process.memoryUsage.rss() / 2 ** 20,
    tensors: tf.memory().numTensors,
    descriptors: count('/proc/self/fd'),
    threads: count('/proc/self/task'),
  };
}
