/**
 * A process of a job that trains nothing: it joins, agrees with the others at every step through the store, and reports
 * its progress. Prints `step n` lines.
 *
 *     fake-job.ts <host> <port> <index> <count> <steps> [hang-at-step]
 */
import { waitForKey } from '@tb/runtime';
import { openKeyValueStore } from '../src/pjrt/key-value-store.js';

const [host = '', port, index, count, steps, hangAt] = process.argv.slice(2);
const store = await openKeyValueStore({
  host,
  port: Number(port),
  index: Number(index),
  count: Number(count),
  connectTimeoutMilliseconds: 10_000,
  heartbeat: { everyMs: 100, lostMs: 2500 },
  onFailure: (reason) => {
    console.error(`the job has failed: ${reason}`);
    process.exit(75);
  },
});
for (let step = 1; step <= Number(steps); step++) {
  if (step === Number(hangAt)) for (;;);
  store.report({ step, limitMs: 6000 });
  store.client.put(`${step}/${index}`, new Uint8Array(1));
  for (let other = 0; other < Number(count); other++)
    await waitForKey(store.client, `${step}/${other}`, { timeoutMs: 60_000 });
  console.log(`step ${step}`);
  await new Promise((resolve) => setTimeout(resolve, 10));
}
await store.close();
