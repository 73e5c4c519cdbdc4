/**
 * Two processes on one GPU meet through the key-value callbacks: each must see the devices of both. No collective
 * program runs, since that needs a GPU each.
 *
 *     node --import tsx --conditions=@tb/source bench/rendezvous-probe.ts
 */
import { fork } from 'node:child_process';
import { createClient } from '../src/pjrt/client.js';
import { loadPlugin } from '../src/pjrt/plugin.js';
import { openRendezvous } from '../src/pjrt/rendezvous.js';

const SIZE = 2;
const PORT = 47_831;

async function join(rank: number): Promise<void> {
  const plugin = loadPlugin();
  const rendezvous = await openRendezvous({ host: '127.0.0.1', port: PORT, index: rank, count: SIZE });
  const client = createClient(plugin, { preallocate: false, memoryFraction: 0.1, rendezvous });
  console.log(
    `process ${rank}: ${client.devices.length} of ${client.deviceIds.flat().length} devices, id ${client.devices[0]!.id}`,
  );
  if (client.deviceIds.flat().length !== SIZE) process.exitCode = 1;
  // All have arrived and read what they need before process 0 stops serving.
  rendezvous.store.put(`done ${rank}`, new Uint8Array(1));
  for (let other = 0; other < SIZE; other += 1) rendezvous.store.get(`done ${other}`, { timeoutMs: 60_000 });
  client.destroy();
  if (rank === 0) await new Promise((resolve) => setTimeout(resolve, 500));
  await rendezvous.close();
}

const rank = process.argv[2];
if (rank !== undefined) await join(Number(rank));
else {
  for (let child = 0; child < SIZE; child += 1) {
    fork(process.argv[1]!, [String(child)]).on('exit', (code) => {
      console.log(`process ${child} ended with ${code}`);
      if (code !== 0) process.exitCode = 1;
    });
  }
}
