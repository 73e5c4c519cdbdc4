// Weights and arrays that are read from bytes: safetensors, checkpoints of PyTorch, npy, npz, code files.
import { readdirSync, readFileSync } from 'node:fs';
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
import { type MutateOptions, mutateBytes, mutateJson, pick } from '../mutate.js';
import { resealCodes, resealMember, storedMember, withHeader } from '../reseal.js';
import type { Target, TargetOpener } from '../target.js';

const fixturesIn = (root: string) => join(root, 'packages/io/fixtures');

/** Files of the fixtures of @tb/io. */
function fixturesOf(root: string, pattern: RegExp, ...folders: string[]): Uint8Array[] {
  const fixtures = fixturesIn(root);
  return ['', ...folders].flatMap((folder) =>
    readdirSync(join(fixtures, folder))
      .filter((name) => pattern.test(name))
      .map((name) => Uint8Array.from(readFileSync(join(fixtures, folder, name)))),
  );
}

/** Most bytes of data that the readers with a limit may take, so that a large claim is refused. */
const maxBytes = 2 ** 24;

const plain = (options: MutateOptions = {}): Target['mutate'] => {
  return (random, seed, others) => ({ bytes: mutateBytes(random, seed, { ...options, others }), isChecked: false });
};

/** Half of the changes where the meaning of a file is: in its first bytes. */
const mostlyAtTheBeginning = (bytes: number, options: MutateOptions = {}): Target['mutate'] => {
  return (random, seed, others) => {
    const end = random.uniform() < 0.5 ? Math.min(bytes, seed.length) : seed.length;
    return { bytes: mutateBytes(random, seed, { ...options, end, others }), isChecked: false };
  };
};

const safetensors: TargetOpener = {
  name: 'safetensors',
  cost: 0.15,
  open: async (_, root) => ({
    name: 'safetensors',
    seeds: fixturesOf(root, /\.safetensors$/),
    mutate: (random, seed, others) =>
      random.uniform() < 0.4
        ? { bytes: withHeader(seed, (header) => mutateJson(random, header)), isChecked: false }
        : mostlyAtTheBeginning(300, { words: ['"F32"', '"BF16"', '__metadata__', 'data_offsets', '[0,0]'] })(
            random,
            seed,
            others,
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
      name: 'safetensors with a checksum',
      seeds: [Uint8Array.from(readFileSync(path))],
      mutate: (random, seed) => ({ bytes: mutateBytes(random, seed), isChecked: true }),
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
    const members = new Map(
      await Promise.all(seeds.map(async (seed) => [seed, await storedMember(seed, 'data.pkl')] as const)),
    );
    return {
      name: '.pth (zip)',
      seeds,
      mutate(random, seed) {
        const member = members.get(seed);
        if (member === undefined || random.uniform() < 0.4)
          return { bytes: mutateBytes(random, seed), isChecked: hasChecksums(seed) };
        const changed = mutateBytes(random, seed, { ...member, inPlace: true, words: torchWords });
        return { bytes: resealMember(changed, member), isChecked: false };
      },
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
    name: '.pth (before PyTorch 1.6)',
    seeds: fixturesOf(root, /^legacy-(?!hostile).*\.pth$/, 'sound'),
    mutate: plain({ words: torchWords }),
    read: readBoth,
  }),
};

const npy: TargetOpener = {
  name: 'npy',
  cost: 0.1,
  open: async (_, root) => ({
    name: 'npy',
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
    const members = new Map(
      await Promise.all(seeds.map(async (seed) => [seed, await storedMember(seed, '.npy')] as const)),
    );
    return {
      name: 'npz',
      seeds,
      mutate(random, seed) {
        const member = members.get(seed);
        if (member === undefined || random.uniform() < 0.5)
          return { bytes: mutateBytes(random, seed), isChecked: true };
        const changed = mutateBytes(random, seed, { ...member, end: member.begin + 128, inPlace: true });
        return { bytes: resealMember(changed, member), isChecked: false };
      },
      read: (bytes) => readNpz(bytes, { maxBytes }),
    };
  },
};

const codes: TargetOpener = {
  name: 'code file',
  cost: 0.05,
  open: async () => ({
    name: 'code file',
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
    name: 'quantizer in JSON',
    seeds: [
      createQuantizer({ levels: 8 }),
      createQuantizer({ levels: 4, min: [-1, -2], max: [1, 2], spacing: 'linear' }),
    ].map((made) => new TextEncoder().encode(JSON.stringify(made))),
    mutate: (random, seed) => ({ bytes: mutateJson(random, pick(random, [seed])), isChecked: false }),
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
