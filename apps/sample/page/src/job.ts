// What the page knows about one job, from its events.
import type { FinishedImage, JobEvent, MessageImage, PositionMaps, Reconstruction } from '../../src/page/messages.js';

/** One image of a job, while it fills and afterwards. */
export type JobImage = { maps: PositionMaps; image: MessageImage; finished: FinishedImage | null };

/** One job. */
export type JobState = {
  status: 'waiting' | 'running' | 'done' | 'cancelled' | 'failed';
  /** Jobs whose turn comes before. */
  before: number;
  /** Share of the work that is done, in 0 … 1. */
  share: number;
  /** Steps that the newest preview shows, and all steps. */
  step: number;
  steps: number;
  /** By their place in the job; missing until the first preview. */
  images: readonly (JobImage | undefined)[];
  reconstruction: Reconstruction | null;
  seconds: number | null;
  command: string | null;
  /** Why it failed. */
  message: string | null;
};

export const newJob: JobState = {
  status: 'waiting',
  before: 0,
  share: 0,
  step: 0,
  steps: 0,
  images: [],
  reconstruction: null,
  seconds: null,
  command: null,
  message: null,
};

/** Whether a job can still be cancelled. */
export const isActive = ({ status }: JobState) => status === 'waiting' || status === 'running';

/** The state after an event. */
export function afterEvent(state: JobState, event: JobEvent): JobState {
  switch (event.type) {
    case 'queued':
      return { ...state, status: 'waiting', before: event.before };
    case 'started':
      return { ...state, status: 'running' };
    case 'progress':
      return { ...state, share: event.positions > 0 ? event.known / event.positions : 0 };
    case 'preview': {
      const images = event.images.map(({ index, image, ...maps }) => ({
        index,
        image: { maps, image, finished: null },
      }));
      return { ...state, step: event.step, steps: event.steps, images: withImages(state.images, images) };
    }
    case 'image': {
      const { stepOfPosition, confidence } = event;
      const image = { maps: { stepOfPosition, confidence }, image: event.image, finished: event };
      return { ...state, images: withImages(state.images, [{ index: event.index, image }]) };
    }
    case 'reconstruction':
      return { ...state, reconstruction: event };
    case 'done':
      return { ...state, status: 'done', share: 1, seconds: event.seconds, command: event.command };
    case 'cancelled':
      return { ...state, status: 'cancelled' };
    case 'failed':
      return { ...state, status: 'failed', message: event.message };
  }
}

/** The state of a job whose events ended by an error. */
export function afterError(state: JobState, error: unknown, signal: AbortSignal): JobState {
  if (signal.aborted) return { ...state, status: 'cancelled' };
  return { ...state, status: 'failed', message: error instanceof Error ? error.message : String(error) };
}

/** The state of a job whose events ended without one that is the last. */
export const afterEnd = (state: JobState): JobState =>
  isActive(state) ? { ...state, status: 'failed', message: 'The connection ended before the job was done.' } : state;

function withImages(
  images: JobState['images'],
  changes: readonly { index: number; image: JobImage }[],
): JobState['images'] {
  const next = [...images];
  for (const { index, image } of changes) next[index] = image;
  return next;
}
