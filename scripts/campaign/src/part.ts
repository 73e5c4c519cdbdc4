// What a part of the campaign is, and what it gets from the frame.
import type { HostRandom } from '@tb/runtime';
import type { Workshop } from './workshop.js';

/** What one trial found. */
export type Trial = {
  /** What was tried on, such as "latent cache": the results are counted by it. */
  subject: string;
  /** How many of the part's `unit` this trial made. */
  tried: number;
  /** One sentence for each thing that did not hold; empty when everything did. */
  faults: readonly string[];
  /** Measured numbers, by a name that includes their unit. The results show those of the longest trial of each subject. */
  figures?: Readonly<Record<string, number>>;
};

/** What a trial is run with. */
export type TrialInput = {
  /** Number of the trial, from 0. */
  trial: number;
  /** Depends on the seed, the part and the number of the trial only. */
  random: HostRandom;
  /** Milliseconds until the time of the part is over; a long trial should end then. */
  timeLeft(): number;
};

/** A part that is ready to run. */
export type OpenPart = {
  /** Runs a trial. Returns undefined when there is nothing left to try. */
  run(input: TrialInput): Promise<Trial | undefined>;
  /** Ends what `open` started. */
  close?(): Promise<void>;
};

/** One kind of attack. It can run by itself. */
export type Part = {
  /** The word that names it on the command line. */
  name: string;
  /** What it does and what must hold, for the help. */
  summary: string;
  /** What is counted, in the plural: "kills". */
  unit: string;
  /** Prepares the part: programs, inputs, and results of an undisturbed run to compare with. */
  open(workshop: Workshop): Promise<OpenPart>;
};
