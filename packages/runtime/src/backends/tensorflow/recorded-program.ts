import type { Binding, Handle } from './node-backend.js';
import { type Recording, type Slot, type Step, shared } from './recording.js';

/** A recording that is ready to run. */
export type RecordedProgram = {
  /**
   * @param inputs - handles of the arguments, which stay the caller's
   * @returns handles of the results, which become the caller's
   */
  run(inputs: readonly Handle[]): Handle[];
  /** Deletes the constants; the program must not run any more. */
  dispose(): void;
};

/** A step, and the values that no later step needs. */
type ReleasingStep = Step & { released: Slot[] };

/** Makes a program of the steps of a recording that its results need, in the same order. */
export function createProgram(binding: Binding, recording: Recording, results: readonly Slot[]): RecordedProgram {
  const { constants } = recording;
  const { steps, needed } = neededSteps(recording, results);
  for (const [slot, handle] of constants) {
    if (needed.has(slot)) continue;
    binding.deleteTensor(handle);
    constants.delete(slot);
  }
  const made = new Set(steps.flatMap(({ outputs }) => outputs));
  const last = new Map(results.map((slot, index) => [slot, index]));
  const run = (inputs: readonly Handle[]): Handle[] => {
    const handles: (Handle | undefined)[] = [...inputs];
    for (const [slot, handle] of constants) handles[slot] = handle;
    const release = (slot: Slot) => {
      binding.deleteTensor(handles[slot]!);
      handles[slot] = undefined;
    };
    try {
      for (const { inputs: read, outputs, released, run: runStep } of steps) {
        const values = runStep(read.map((slot) => handles[slot]!));
        for (let i = 0; i < outputs.length; i++) handles[outputs[i]] = values[i];
        for (const slot of released) release(slot);
      }
      return results.map((slot, index) => {
        const handle = handles[slot]!;
        if (!made.has(slot) || last.get(slot) !== index) return shared(binding, handle);
        handles[slot] = undefined; // handed over
        return handle;
      });
    } finally {
      for (const slot of made) if (handles[slot] !== undefined) release(slot);
    }
  };
  const dispose = () => {
    for (const handle of constants.values()) binding.deleteTensor(handle);
    constants.clear();
  };
  return { run, dispose };
}

/** The steps that the results need, each with what it reads or makes for the last time; and all slots that are needed. */
function neededSteps(recording: Recording, results: readonly Slot[]): { steps: ReleasingStep[]; needed: Set<Slot> } {
  const made = new Set(recording.steps.flatMap(({ outputs }) => outputs));
  const needed = new Set(results);
  const steps: ReleasingStep[] = [];
  for (const step of [...recording.steps].reverse()) {
    if (!step.outputs.some((slot) => needed.has(slot))) continue;
    // From the end, a slot that is met for the first time is used for the last time.
    const last = [...new Set([...step.inputs, ...step.outputs])].filter((slot) => !needed.has(slot));
    for (const slot of last) needed.add(slot);
    steps.push({ ...step, released: last.filter((slot) => made.has(slot)) });
  }
  return { steps: steps.reverse(), needed };
}
