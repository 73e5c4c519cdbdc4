// Writes many images as one array without holding them in memory.
import { openNpz, writeNpz } from '@tb/io';

async function* images() {
  for (let i = 0; i < 100; i++) yield new Uint8Array(8 * 8 * 3).fill(i); // an image: [height, width, RGB]
}

// The file appears under its name when the last image is in it, or not at all.
await writeNpz('samples.npz', { arr_0: { dtype: 'U8', shape: [100, 8, 8, 3], data: images() } });

const file = await openNpz('samples.npz');
for await (const batch of file.batches('arr_0', 50)) console.log('batch', batch.shape, 'first value', batch.data[0]);
await file.close();
