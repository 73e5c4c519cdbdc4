import { useEffect, useRef, useState } from 'preact/hooks';
import type { JobEvent } from '../../src/page/messages.js';
import { afterEnd, afterError, afterEvent, type JobState, newJob } from './job.js';

type Events = (signal: AbortSignal) => AsyncIterable<JobEvent>;

/**
 * Runs a job and reports every state of it.
 *
 * @param isKept - whether a state is still of interest, such as for a job that was not replaced
 */
export async function runJob(
  events: Events,
  signal: AbortSignal,
  report: (state: JobState) => void,
  isKept: () => boolean = () => true,
): Promise<void> {
  let state = newJob;
  const next = (changed: JobState) => {
    state = changed;
    if (isKept()) report(state);
  };
  next(state);
  try {
    for await (const event of events(signal)) next(afterEvent(state, event));
    next(signal.aborted ? afterError(state, undefined, signal) : afterEnd(state));
  } catch (error) {
    next(afterError(state, error, signal));
  }
}

/** One job at a time: a new one cancels the one before. */
export function useJob(): { job: JobState | null; start(events: Events): void; cancel(): void } {
  const [job, setJob] = useState<JobState | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  return {
    job,
    start(events) {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      void runJob(events, controller.signal, setJob, () => running.current === controller);
    },
    cancel: () => running.current?.abort(),
  };
}
