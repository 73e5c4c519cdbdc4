import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, withContentHash, writeSafetensors } from '@tb/io';
import { hostRandom } from '@tb/runtime';
import { beforeAll, describe, expect, it } from 'vitest';
import { threeNumbers as extractor } from '../../test/three-numbers.js';
import { accumulate } from '../gaussian-statistics.js';
import { accumulateInceptionScore } from '../inception-score.js';
import { createCollection } from './collect.js';
import { type CollectionOrigin, loadCollection, saveCollection } from './collection-file.js';

const origin: CollectionOrigin = {
  source: 'images',
  fingerprint: 'f',
  total: 12,
  kept: 5,
  extractor: extractor.name,
  weightsHash: extractor.weightsHash,
};

const folder = mkdtempSync(join(tmpdir(), 'tb-collection-'));
const file = join(folder, 'samples.safetensors');
const copy = join(folder, 'copy.safetensors');

/** Ten of twelve images. */
function gathered() {
  const random = hostRandom(1);
  const numbers = (count: number) => Float32Array.from({ length: count }, random.normal);
  const collection = createCollection(extractor, origin.total, origin.kept);
  accumulate(collection.pool, numbers(30));
  if (collection.spatial) accumulate(collection.spatial, numbers(20));
  if (collection.score) accumulateInceptionScore(collection.score, numbers(40));
  collection.features.set(numbers(15));
  return Object.assign(collection, { count: 10, pixelHash: 'p'.repeat(64) });
}

beforeAll(() => saveCollection(file, gathered(), origin));

describe('loadCollection', () => {
  it('gives back what was saved', async () => {
    expect(await loadCollection(file, extractor)).toEqual({ collection: gathered(), origin });
  });

  it('refuses a file in which one bit has changed, wherever it is', async () => {
    const bytes = readFileSync(file);
    for (let place = 0; place < bytes.length; place += 3) {
      const changed = Uint8Array.from(bytes);
      changed[place] ^= 1 << (place % 8);
      writeFileSync(copy, changed);
      await expect(loadCollection(copy, extractor), `byte ${place}`).rejects.toThrow(copy);
    }
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['no number', { count: 'NaN' }, /its count must be an integer up to 12, got "NaN"/],
    ['a negative count', { count: '-1' }, /its count must be an integer up to 12, got "-1"/],
    ['more images than there are', { count: '13' }, /its count must be an integer up to 12, got "13"/],
    ['half an image', { count: '2.5' }, /its count must be an integer/],
    ['null for its origin', { origin: 'null' }, /copy.safetensors: its origin: it must be an object, but is null/],
    ['an origin that is not JSON', { origin: '{' }, /copy.safetensors: its origin: is not JSON/],
    ['an origin without a total', { origin: JSON.stringify({ ...origin, total: undefined }) }, /total must be/],
    [
      'other kept features',
      { origin: JSON.stringify({ ...origin, kept: 6 }) },
      /features must be F32 \[6, 3\], got F32 \[5, 3\]/,
    ],
    ['another format', { format: 'x' }, /must be a statistics file of this package .*, got "x"/],
    ['a format that would steer a terminal', { format: '\u001b[2J' }, /, got "\\u001b\[2J"$/],
  ])('refuses a file that states %s, though its checksum is right', async (_, changes, message) => {
    const { tensors, metadata } = await readSafetensors(file);
    await writeSafetensors(copy, tensors, { metadata: withContentHash(tensors, { ...metadata, ...changes }) });
    await expect(loadCollection(copy, extractor)).rejects.toThrow(message);
  });

  it('refuses other tensors, though their checksum is right, and a file without a checksum', async () => {
    const { tensors, metadata } = await readSafetensors(file);
    const write = (changed: typeof tensors) =>
      writeSafetensors(copy, changed, { metadata: withContentHash(changed, metadata) });
    const { 'pool.shift': shift, ...others } = tensors;
    await write(others);
    await expect(loadCollection(copy, extractor)).rejects.toThrow(/pool\.shift must be F64 \[3\], got none/);
    await write({ ...tensors, surprise: shift });
    await expect(loadCollection(copy, extractor)).rejects.toThrow(/surprise must be absent, got F64 \[3\]/);
    await write({ ...tensors, 'pool.sum': { ...shift, dtype: 'I64', data: new BigInt64Array(3) } });
    await expect(loadCollection(copy, extractor)).rejects.toThrow(/pool\.sum must be F64 \[3\], got I64 \[3\]/);
    const { 'tokenbridge.sha256': _, ...unsealed } = metadata;
    await writeSafetensors(copy, tensors, { metadata: unsealed });
    await expect(loadCollection(copy, extractor)).rejects.toThrow(
      /copy\.safetensors: it has no checksum of its content/,
    );
  });
});
