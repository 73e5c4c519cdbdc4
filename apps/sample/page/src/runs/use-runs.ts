import { useEffect, useRef, useState } from 'preact/hooks';
import type { PageClient, RunInfo } from '../../../src/page/messages.js';
import { afterRunEvent, emptyLog, type RunLog } from './run-log.js';

const secondsBetweenLists = 10;

/** The list of runs, read again from time to time. */
export function useRunList(client: PageClient): { runs: readonly RunInfo[] | null; fault: string | null } {
  const [runs, setRuns] = useState<readonly RunInfo[] | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    const read = () =>
      client.runs().then(
        (list) => {
          setRuns(list.runs);
          setFault(null);
        },
        (error: Error) => setFault(error.message),
      );
    void read();
    const timer = setInterval(() => document.visibilityState === 'visible' && read(), secondsBetweenLists * 1000);
    return () => clearInterval(timer);
  }, [client]);
  return { runs, fault };
}

/** The logs of the chosen runs, followed as they grow. */
export function useRunLogs(client: PageClient, chosen: readonly string[]): ReadonlyMap<string, RunLog> {
  const [logs, setLogs] = useState<ReadonlyMap<string, RunLog>>(new Map());
  const followed = useRef(new Map<string, AbortController>());
  useEffect(() => {
    for (const [id, controller] of followed.current)
      if (!chosen.includes(id)) {
        controller.abort();
        followed.current.delete(id);
        setLogs((current) => new Map([...current].filter(([other]) => other !== id)));
      }
    for (const id of chosen)
      if (!followed.current.has(id)) {
        const controller = new AbortController();
        followed.current.set(id, controller);
        void follow(client, id, controller.signal, (log) => setLogs((current) => new Map(current).set(id, log)));
      }
  }, [client, chosen]);
  useEffect(
    () => () => {
      for (const controller of followed.current.values()) controller.abort();
    },
    [],
  );
  return logs;
}

/** Follows a run; after a break of the connection it begins again. */
async function follow(
  client: PageClient,
  id: string,
  signal: AbortSignal,
  report: (log: RunLog) => void,
): Promise<void> {
  while (!signal.aborted) {
    let log = emptyLog;
    try {
      for await (const event of client.follow(id, signal)) {
        if (signal.aborted) return;
        log = afterRunEvent(log, event);
        report(log);
      }
      if (log.message !== null) return;
    } catch (error) {
      if (signal.aborted) return;
      report({ ...log, message: (error as Error).message });
    }
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}
