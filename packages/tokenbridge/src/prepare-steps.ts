// Makes the programs of all steps ready ahead of need, where the backend compiles.
import { backendTraits, untilReady } from '@tb/runtime';

/** The programs of one step. Steps with equal keys have the same. */
type StepPrograms = { key: string; prepare(): Promise<unknown>; cancel(): void };

/** Programs on their way. */
export type PreparedSteps<Step> = {
  /** Waits for the programs of one step only. @throws the compiler's error */
  untilReady(step: Step): Promise<void>;
  /** Gives up those that nothing has begun to compile. */
  stop(): void;
};

/**
 * Prepares the programs of all steps in the order in which they are needed. They are traced one after another, with a turn of the
 * event loop in between: tracing keeps the thread busy, and the first step may begin meanwhile.
 */
export function prepareSteps<Step>(
  steps: readonly Step[],
  programsOf: (step: Step) => StepPrograms,
): PreparedSteps<Step> {
  if (!backendTraits().compilesPerShape) return { untilReady: async () => {}, stop() {} };
  const pending = new Map<string, Promise<unknown>>();
  let isStopped = false;
  const begin = (step: Step): Promise<unknown> => {
    const { key, prepare } = programsOf(step);
    let prepared = pending.get(key);
    if (!prepared) {
      prepared = prepare();
      prepared.catch(() => undefined); // the step that needs the program throws it
      pending.set(key, prepared);
    }
    return prepared;
  };
  const beginAll = async () => {
    for (const step of steps) {
      if (isStopped) return;
      const { size } = pending;
      begin(step).catch(() => undefined);
      if (pending.size > size) await new Promise((resolve) => setTimeout(resolve));
    }
  };
  beginAll().catch(() => undefined);
  return {
    untilReady: (step) => untilReady('sampling', begin(step)),
    stop() {
      isStopped = true;
      if (steps.length > 0) programsOf(steps[0]).cancel();
    },
  };
}
