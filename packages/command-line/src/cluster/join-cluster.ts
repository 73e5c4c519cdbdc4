import { type JoinedProcesses, joinProcesses } from '@tb/runtime';
import { UsageError } from '../options.js';
import type { ClusterValues } from './detect.js';
import { findCluster } from './find-cluster.js';

/**
 * Finds out which process of a job this one is, and connects it to the others.
 *
 * @returns undefined for a process that works alone
 * @throws UsageError when the coordinator is not known; Error when it cannot be reached
 */
export async function joinCluster(values: ClusterValues): Promise<JoinedProcesses | undefined> {
  const cluster = findCluster(values);
  if (!cluster) return undefined;
  const { coordinator, process: index, processes: count, source } = cluster;
  if (!coordinator)
    throw new UsageError(`--coordinator host:port is needed: ${source} does not state where process 0 can be reached`);
  return joinProcesses({ ...coordinator, index, count });
}
