import { type JoinedProcesses, joinProcesses } from '@tb/runtime';
import { UsageError } from '../options.js';
import { onFailure } from '../program.js';
import { jobFailed } from './cluster.js';
import type { ClusterValues } from './detect.js';
import { findCluster } from './find-cluster.js';

/**
 * Finds out which process of a job this one is, and connects it to the others. From then on this process ends with one
 * sentence when one of the others ends, hangs or is lost, and the others end when this one fails.
 *
 * @returns undefined for a process that works alone
 * @throws UsageError when the coordinator is not known; Error when it cannot be reached
 */
export async function joinCluster(values: ClusterValues): Promise<JoinedProcesses | undefined> {
  const cluster = findCluster(values);
  if (!cluster) return undefined;
  const { coordinator, process: index, processes: count, source, job: name, incarnation, secret } = cluster;
  if (!coordinator)
    throw new UsageError(`--coordinator host:port is needed: ${source} does not state where process 0 can be reached`);
  const group = await joinProcesses({
    ...coordinator,
    index,
    count,
    job: { name, incarnation, ...(secret !== undefined && { secret }) },
    onFailure: (reason) => {
      console.error(`\nthe job has failed: ${reason}`);
      process.exit(jobFailed);
    },
  });
  onFailure((sentence) => group.fail(sentence));
  return group;
}
