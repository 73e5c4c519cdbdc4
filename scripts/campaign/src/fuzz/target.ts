import type { HostRandom } from '@tb/runtime';

/** One kind of file, and what reads it. */
export type Target = {
  /** Sound files; mutants are made of them. */
  seeds: readonly Uint8Array[];
  /**
   * Makes a mutant of a seed.
   *
   * @param others - the seeds, and mutants of this trial that led to something new
   */
  mutate(random: HostRandom, seed: Uint8Array, others: readonly Uint8Array[]): Mutant;
  /** Reads a file as the commands do. What it returns is compared, so it must hold everything that was read. */
  read(bytes: Uint8Array): Promise<unknown>;
};

export type Mutant = {
  bytes: Uint8Array;
  /** Whether checksums cover all that is read: a mutant must be refused, or give what the seed gives. */
  isChecked: boolean;
};

/** A target that is ready when it is needed, for it may have to write its seeds. */
export type TargetOpener = {
  /** What the results call it. */
  name: string;
  /** Milliseconds that reading one mutant takes, about: a trial makes as many as fit into its time. */
  cost: number;
  /**
   * @param folder - an empty folder for its files
   * @param root - of the repository: some seeds are fixtures of its packages
   */
  open(folder: string, root: string): Promise<Target>;
};
