// Ways to make mutants that several targets share.
import { type MutateOptions, mutateBytes, mutateJson } from './mutate.js';
import { resealMember, storedMember, withHeader } from './reseal.js';
import type { Target } from './target.js';

type Mutate = Target['mutate'];

/** Changes bytes anywhere. */
export const anywhere =
  (options: MutateOptions = {}): Mutate =>
  (random, seed, others) => ({ bytes: mutateBytes(random, seed, { others, ...options }), isChecked: false });

/** Half of the changes where the meaning of a file is: in its first bytes. */
export const mostlyAtTheBeginning =
  (bytes: number, options: MutateOptions = {}): Mutate =>
  (random, seed, others) => {
    const end = random.uniform() < 0.5 ? Math.min(bytes, seed.length) : seed.length;
    return anywhere({ ...options, end })(random, seed, others);
  };

/** Changes values of JSON in a share of the mutants. */
export const inJson =
  (share: number, otherwise: Mutate): Mutate =>
  (random, seed, others) =>
    random.uniform() < share ? { bytes: mutateJson(random, seed), isChecked: false } : otherwise(random, seed, others);

/** Changes values in the header of a safetensors file in a share of the mutants, and states the right length. */
export const inHeader =
  (share: number, otherwise: Mutate): Mutate =>
  (random, seed, others) =>
    random.uniform() < share
      ? { bytes: withHeader(seed, (header) => mutateJson(random, header)), isChecked: false }
      : otherwise(random, seed, others);

/** States that checksums cover everything in the file. */
export const checked =
  (mutate: Mutate): Mutate =>
  (...args) => ({ ...mutate(...args), isChecked: true });

export type MemberOptions = {
  /** The share of mutants that are changed anywhere, checksums included. */
  anywhere: number;
  /** Whether the checksums of an archive cover what is read. */
  isChecked: (archive: Uint8Array) => boolean;
  /** The share of the other mutants that change only the first 128 bytes of the member. */
  inHeader?: number;
  words?: readonly string[];
};

/** Changes one stored member of each archive, whose name ends as given, and makes its checksum again. */
export async function inMember(
  archives: readonly Uint8Array[],
  ending: string,
  options: MemberOptions,
): Promise<Mutate> {
  const { inHeader: shareInHeader = 0, words = [] } = options;
  const entries = archives.map(async (archive) => [archive, await storedMember(archive, ending)] as const);
  const members = new Map(await Promise.all(entries));
  return (random, seed) => {
    const member = members.get(seed);
    if (member === undefined || random.uniform() < options.anywhere)
      return { bytes: mutateBytes(random, seed), isChecked: options.isChecked(seed) };
    const end = random.uniform() < shareInHeader ? member.begin + 128 : member.end;
    const changed = mutateBytes(random, seed, { ...member, end, inPlace: true, words });
    return { bytes: resealMember(changed, member), isChecked: false };
  };
}
