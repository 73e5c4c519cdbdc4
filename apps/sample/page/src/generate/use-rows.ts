import { useEffect, useRef, useState } from 'preact/hooks';
import type { GenerateRequest, PageClient } from '../../../src/page/messages.js';
import { type JobState, newJob } from '../job.js';
import { runJob } from '../use-job.js';
import type { Attempt, Row } from './attempt.js';

/** Rows that are kept; older ones are forgotten. */
const mostRows = 12;

/** All rows of attempts, the newest first, and what can be done with them. */
export function useRows(client: PageClient) {
  const [rows, setRows] = useState<readonly Row[]>([]);
  const controllers = useRef(new Map<number, AbortController>());
  const lastId = useRef(0);
  useEffect(
    () => () => {
      for (const controller of controllers.current.values()) controller.abort();
    },
    [],
  );

  const report = (id: number, job: JobState) =>
    setRows((current) =>
      current.map((row) => ({
        ...row,
        attempts: row.attempts.map((attempt) => (attempt.id === id ? { ...attempt, job } : attempt)),
      })),
    );
  const begin = (request: GenerateRequest, change: string | null): Attempt => {
    lastId.current += 1;
    const id = lastId.current;
    const controller = new AbortController();
    controllers.current.set(id, controller);
    queueMicrotask(() =>
      runJob(
        (signal) => client.generate(request, signal),
        controller.signal,
        (job) => report(id, job),
      ).finally(() => controllers.current.delete(id)),
    );
    return { id, request, change, job: newJob };
  };
  return {
    rows,
    start(request: GenerateRequest) {
      const attempt = begin(request, null);
      setRows((current) => [{ id: attempt.id, attempts: [attempt] }, ...current].slice(0, mostRows));
    },
    startNextTo(row: Row, request: GenerateRequest, change: string) {
      const attempt = begin(request, change);
      setRows((current) =>
        current.map((other) => (other.id === row.id ? { ...other, attempts: [...other.attempts, attempt] } : other)),
      );
    },
    cancel: (attempt: Attempt) => controllers.current.get(attempt.id)?.abort(),
    remove(row: Row) {
      for (const { id } of row.attempts) controllers.current.get(id)?.abort();
      setRows((current) => current.filter(({ id }) => id !== row.id));
    },
  };
}
