import { isActive, type JobState } from '../job.js';
import { Progress } from './controls.js';

/** How far a job is, with a button that cancels it, and how it ended. */
export function JobStateLine({ job, verb, onCancel }: { job: JobState; verb: string; onCancel(): void }) {
  const waiting = job.before === 0 ? 'Waiting for its turn' : `Waiting: ${job.before} before it`;
  return (
    <>
      {isActive(job) && (
        <div class="running">
          <Progress
            share={job.share}
            label={job.status === 'waiting' ? waiting : `${Math.round(job.share * 100)}% ${verb}`}
          />
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        </div>
      )}
      <p class="state" role="status">
        {job.status === 'done' && `Done in ${(job.seconds ?? 0).toFixed(1)} s`}
        {job.status === 'cancelled' && 'Cancelled'}
      </p>
      {job.status === 'failed' && (
        <p class="fault" role="alert">
          {job.message}
        </p>
      )}
    </>
  );
}
