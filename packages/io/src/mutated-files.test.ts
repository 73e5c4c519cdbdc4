import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { memorySource } from './byte-source.js';
import { readCheckpoint } from './checkpoint.js';
import { FileFormatError } from './file-format-error.js';
import { readNpy } from './npy.js';
import { readNpz } from './npz.js';
import { readSafetensors } from './safetensors-reader.js';
import { fixtureBytes, fixtureNames } from './testing/fixtures.js';
import { countAllocations, mutate, mutations } from './testing/mutations.js';
import { readZipDirectory } from './zip-directory.js';

/** TB_MUTANTS asks for another number. */
const RUNS = Number(process.env.TB_MUTANTS ?? 20_000);

/** A reason is a sentence, whatever the names and values in the file. */
const LONGEST_REASON = 300;

/** Given to the readers that take a cap. */
const MOST_BYTES = 2 ** 20;

type Outcome = { accepted: number; refused: number; largest: number; slowest: number };

type Mutant = { bytes: Uint8Array; original: Uint8Array; isRepaired: boolean };

type Campaign = {
  read: (bytes: Uint8Array) => Promise<unknown>;
  files: fc.Arbitrary<Mutant>;
  /** Whether checksums cover all that is read: a mutant must then be refused, or give the values of the original. */
  hasChecksums: boolean;
  /** Most bytes of memory that reading any of them may take. */
  mostBytes: number;
};

/**
 * Reads every file: it must give a value or a FileFormatError that names the place and the reason, and take little memory and
 * time. No other error may come out (a TypeError, or a RangeError of JavaScript itself), and no other numbers where there are
 * checksums.
 */
async function run({ read, files, hasChecksums, mostBytes }: Campaign): Promise<Outcome> {
  const outcome: Outcome = { accepted: 0, refused: 0, largest: 0, slowest: 0 };
  const originals = new Map<Uint8Array, unknown>();
  const property = fc.asyncProperty(files, async ({ bytes, original, isRepaired }) => {
    const start = performance.now();
    const { result, allocated } = await countAllocations(() => read(bytes).catch((error) => error));
    outcome.slowest = Math.max(outcome.slowest, performance.now() - start);
    outcome.largest = Math.max(outcome.largest, allocated);
    if (allocated > mostBytes) throw new Error(`reading ${bytes.length} bytes took ${allocated}`);
    if (!(result instanceof Error)) {
      outcome.accepted++;
      if (!hasChecksums || isRepaired) return;
      if (!originals.has(original)) originals.set(original, withoutFunctions(await read(original)));
      expect(withoutFunctions(result)).toEqual(originals.get(original));
    } else if (result instanceof FileFormatError) {
      outcome.refused++;
      if (result.file !== '(memory)' || !Number.isSafeInteger(result.offset) || result.offset! < 0) throw result;
      if (result.reason.length === 0 || result.reason.length > LONGEST_REASON) throw result;
    } else throw result;
  });
  await fc.assert(property, { numRuns: RUNS });
  expect(outcome.slowest).toBeLessThan(5000); // milliseconds, on a busy machine
  return outcome;
}

/** Tensors that cannot be read hold a function, which is another each time. */
const withoutFunctions = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value, (_, part) => {
      if (typeof part === 'bigint') return `${part}n`;
      if (part instanceof Map) return [...part];
      return part instanceof Set ? [...part] : part;
    }) ?? 'null',
  );

/** Half of the mutants anywhere, half in the first `headerBytes` bytes, where the meaning lies. */
function mutantsOf(names: string[], headerBytes = Number.POSITIVE_INFINITY): fc.Arbitrary<Mutant> {
  const originals = names.map(fixtureBytes);
  return fc.tuple(fc.constantFrom(...originals), mutations(), fc.boolean()).map(([original, changes, header]) => {
    const end = header ? Math.min(headerBytes, original.length) : original.length;
    return { bytes: mutate(original, changes, 0, end), original, isRepaired: false };
  });
}

/**
 * Mutants of zip archives inside the member whose name ends as given, with checksums that agree: a plain mutant seldom
 * gets past them to the reader of the member.
 */
async function repairedMutantsOf(names: string[], suffix: string): Promise<fc.Arbitrary<Mutant>> {
  const archives = await Promise.all(
    names.map(async (name) => {
      const bytes = fixtureBytes(name);
      const entries = await readZipDirectory(memorySource(bytes));
      const entry = [...entries.values()].find((each) => each.name.endsWith(suffix))!;
      expect(entry.method).toBe(0);
      const view = new DataView(bytes.buffer, entry.headerOffset);
      const begin = entry.headerOffset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
      const checksum = Buffer.from(Uint32Array.of(entry.checksum).buffer);
      return { bytes, begin, end: begin + entry.size, checksumOffsets: placesOf(checksum, bytes) };
    }),
  );
  return fc
    .tuple(fc.constantFrom(...archives), mutations({ inPlace: true }))
    .map(([{ bytes, begin, end, checksumOffsets }, changes]) => {
      const mutant = mutate(bytes, changes, begin, end);
      for (const at of checksumOffsets)
        new DataView(mutant.buffer).setUint32(at, crc32(mutant.subarray(begin, end)), true);
      return { bytes: mutant, original: bytes, isRepaired: true };
    });
}

/** In the local header, the descriptor behind the member and the directory, as far as they hold it. */
function placesOf(checksum: Uint8Array, bytes: Uint8Array): number[] {
  const places: number[] = [];
  const file = Buffer.from(bytes);
  for (let at = file.indexOf(checksum); at >= 0; at = file.indexOf(checksum, at + 1)) places.push(at);
  return places;
}

it(`reads ${RUNS} mutated safetensors files`, async () => {
  const files = mutantsOf(['dtypes.safetensors', 'one-dtype-per-size.safetensors'], 300);
  const outcome = await run({ read: (bytes) => readSafetensors(bytes), files, hasChecksums: false, mostBytes: 8192 });
  expect(outcome.accepted).toBeGreaterThan(RUNS / 200);
  expect(outcome.refused).toBeGreaterThan(RUNS / 4);
});

it(`reads ${RUNS} mutated npy files`, async () => {
  const files = mutantsOf(['plain.npy', 'fortran.npy', 'big-endian.npy', 'vector.npy', 'version-3.npy'], 90);
  const read = (bytes: Uint8Array) => readNpy(bytes, { maxBytes: MOST_BYTES });
  const outcome = await run({ read, files, hasChecksums: false, mostBytes: 8192 });
  expect(outcome.accepted).toBeGreaterThan(RUNS / 200);
  expect(outcome.refused).toBeGreaterThan(RUNS / 4);
});

it(`reads ${RUNS} mutated npz files`, async () => {
  const repaired = await repairedMutantsOf(['dtypes.npz', 'zip64.npz'], '.npy');
  const files = fc.oneof(mutantsOf(['dtypes.npz', 'compressed.npz', 'zip64.npz']), repaired);
  const read = (bytes: Uint8Array) => readNpz(bytes, { maxBytes: MOST_BYTES });
  const outcome = await run({ read, files, hasChecksums: true, mostBytes: 4 * MOST_BYTES });
  expect(outcome.accepted).toBeGreaterThan(RUNS / 200);
  expect(outcome.refused).toBeGreaterThan(RUNS / 4);
});

it(`reads ${RUNS} mutated checkpoints`, async () => {
  const sound = fixtureNames('sound')
    .filter((name) => !name.startsWith('legacy-') && name !== 'without-checksums.pth')
    .map((name) => `sound/${name}`);
  const names = ['layouts.pth', 'training-protocol-2.pth', 'training-protocol-4.pth', ...sound];
  const files = fc.oneof(mutantsOf([...names, 'deflated.pth']), await repairedMutantsOf(names, 'data.pkl'));
  const read = (bytes: Uint8Array) => readCheckpoint(bytes, { maxBytes: MOST_BYTES });
  const outcome = await run({ read, files, hasChecksums: true, mostBytes: 4 * MOST_BYTES });
  expect(outcome.accepted).toBeGreaterThan(RUNS / 200);
  expect(outcome.refused).toBeGreaterThan(RUNS / 4);
});

it(`reads ${RUNS} mutated checkpoints of the format before PyTorch 1.6`, async () => {
  const names = ['layouts', 'training-protocol-2', 'training-protocol-4', 'module'];
  const sound = fixtureNames('sound').filter((name) => name.startsWith('legacy-'));
  const files = mutantsOf([...names.map((name) => `legacy-${name}.pth`), ...sound.map((name) => `sound/${name}`)]);
  const read = (bytes: Uint8Array) => readCheckpoint(bytes, { maxBytes: MOST_BYTES });
  const outcome = await run({ read, files, hasChecksums: false, mostBytes: 4 * MOST_BYTES });
  expect(outcome.accepted).toBeGreaterThan(RUNS / 200);
  expect(outcome.refused).toBeGreaterThan(RUNS / 4);
});
