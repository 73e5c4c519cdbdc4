// Weights and arrays that are read from bytes: safetensors, checkpoints of PyTorch, npy, npz, code files.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  assertContentHash,
  openWeights,
  readCheckpoint,
  readNpy,
  readNpz,
  readSafetensors,
  withContentHash,
  writeSafetensors,
} from '@tb/io';
import { createQuantizer, fromJSON, packCodes, unpackCodes } from '@tb/quantizer';
import { mutateBytes, mutateJson } from '../mutate.js';
import { anywhere, checked, inHeader, inMember, mostlyAtTheBeginning } from '../mutations.js';
import { bytesOf, resealCodes } from '../reseal.js';
import type { TargetOpener } from '../target.js';

const fixturesIn = (root: string) => join(root, 'packages/io/fixtures');

/** Files of the fixtures of @tb/io. */
function fixturesOf(root: string, pattern: RegExp, ...folders: string[]): Uint8Array[] {
  const fixtures = fixturesIn(root);
  return ['', ...folders].flatMap((folder) =>
    readdirSync(join(fixtures, folder))
      .filter((name) => pattern.test(name))
      .map((name) => bytesOf(join(fixtures, folder, name))),
  );
}

/** Most bytes of data that the readers with a limit may take, so that a large claim is refused. */
const maxBytes = 2 ** 24;

const safetensors: TargetOpener = {
  name: 'safetensors',
  cost: 0.15,
  open: async (_, root) => ({
    seeds: fixturesOf(root, /\.safetensors$/),
    mutate: inHeader(
      0.4,
      mostlyAtTheBeginning(300, { words: ['"F32"', '"BF16"', '__metadata__', 'data_offsets', '[0,0]'] }),
    ),
    read: (bytes) => readSafetensors(bytes),
  }),
};

const weightsWithChecksum: TargetOpener = {
  name: 'safetensors with a checksum',
  cost: 0.2,
  open: async (folder, root) => {
    const path = join(folder, 'seed.safetensors');
    const { tensors } = await readSafetensors(join(fixturesIn(root), 'dtypes.safetensors'));
    const metadata = withContentHash(tensors, { classNames: '["cat","dog"]', imageSize: '16' });
    await writeSafetensors(path, tensors, { metadata });
    return {
      seeds: [bytesOf(path)],
      mutate: checked(anywhere({ others: [] })),
      async read(bytes) {
        const content = await readSafetensors(bytes);
        assertContentHash('(memory)', content);
        return content;
      },
    };
  },
};

const torchWords = [
  'ctorch._utils\n_rebuild_tensor_v2\n',
  'R.',
  '(t',
  '}(',
  '\x8a\xff',
  'X\xff\xff\xff\x7f',
  'h\xff',
  '2222',
];

/** @param read - of a checkpoint, and of the weights in it */
async function readBoth(bytes: Uint8Array): Promise<unknown> {
  const value = await readCheckpoint(bytes, { maxBytes });
  const weights = await openWeights(bytes, { anchor: 'weight' }).catch((error: Error) => {
    if (/holds no weights by their names|two weights are named/.test(error.message)) return undefined;
    throw error;
  });
  await weights?.close();
  return { value, names: weights && [weights.part, weights.prefix, Object.keys(weights.tensors)] };
}

const checkpoint: TargetOpener = {
  name: '.pth (zip)',
  cost: 0.6,
  open: async (_, root) => {
    const all = fixturesOf(root, /^(?!legacy-|hostile-).*\.pth$/, 'sound');
    const seeds = all.filter((bytes) => bytes.length < 100_000);
    return {
      seeds,
      mutate: await inMember(seeds, 'data.pkl', { anywhere: 0.4, isChecked: hasChecksums, words: torchWords }),
      read: readBoth,
    };
  },
};

/** PyTorch can be told to write zeros in their place. */
const hasChecksums = (archive: Uint8Array) =>
  archive.length > 18 && new DataView(archive.buffer, archive.byteOffset).getUint32(14, true) !== 0;

const legacyCheckpoint: TargetOpener = {
  name: '.pth (before PyTorch 1.6)',
  cost: 0.4,
  open: async (_, root) => ({
    seeds: fixturesOf(root, /^legacy-(?!hostile).*\.pth$/, 'sound'),
    mutate: anywhere({ words: torchWords }),
    read: readBoth,
  }),
};

const npy: TargetOpener = {
  name: 'npy',
  cost: 0.1,
  open: async (_, root) => ({
    seeds: fixturesOf(root, /\.npy$/),
    mutate: mostlyAtTheBeginning(128, { words: ["'descr'", "'<f8'", '(3,)', 'True', 'False', '9999999999'] }),
    read: (bytes) => readNpy(bytes, { maxBytes }),
  }),
};

const npz: TargetOpener = {
  name: 'npz',
  cost: 0.6,
  open: async (_, root) => {
    const seeds = fixturesOf(root, /\.npz$/);
    return {
      seeds,
      mutate: await inMember(seeds, '.npy', { anywhere: 0.5, isChecked: () => true, inHeader: 1 }),
      read: (bytes) => readNpz(bytes, { maxBytes }),
    };
  },
};

const codes: TargetOpener = {
  name: 'code file',
  cost: 0.05,
  open: async () => ({
    seeds: [2, 64, 257, 65536].map((levels) =>
      packCodes(
        Array.from({ length: 24 }, (_, i) => (i * 7919) % levels),
        { levels, shape: [2, 3, 4] },
      ),
    ),
    mutate(random, seed) {
      const isChecked = random.uniform() < 0.5;
      const bytes = mutateBytes(random, seed, { end: random.uniform() < 0.5 ? 28 : seed.length });
      return { bytes: isChecked ? bytes : resealCodes(bytes), isChecked };
    },
    read: async (bytes) => unpackCodes(bytes),
  }),
};

const quantizer: TargetOpener = {
  name: 'quantizer in JSON',
  cost: 0.3,
  open: async () => ({
    seeds: [
      createQuantizer({ levels: 8 }),
      createQuantizer({ levels: 4, min: [-1, -2], max: [1, 2], spacing: 'linear' }),
    ].map((made) => new TextEncoder().encode(JSON.stringify(made))),
    mutate: (random, seed) => ({ bytes: mutateJson(random, seed), isChecked: false }),
    read: async (bytes) => fromJSON(JSON.parse(new TextDecoder().decode(bytes))).toJSON(),
  }),
};

export const formatTargets: readonly TargetOpener[] = [
  safetensors,
  weightsWithChecksum,
  checkpoint,
  legacyCheckpoint,
  npy,
  npz,
  codes,
  quantizer,
];
