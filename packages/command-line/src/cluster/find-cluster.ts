import { createHash } from 'node:crypto';
import { identifyJob } from '@tb/io';
import type { Share } from '@tb/runtime';
import { type Cluster, describeCluster, gpuOfProcess } from './cluster.js';
import { type ClusterValues, detectCluster } from './detect.js';

/**
 * Finds out which process of a job this one is, and prints it in one line. Gives this process its GPU where each process of
 * a host has one, and identifies the job to the locks of folders. Must run before a backend is loaded.
 *
 * @returns undefined for a process that works alone
 * @throws UsageError when options or variables contradict each other
 */
export function findCluster(values: ClusterValues): Cluster | undefined {
  const cluster = detectCluster(values, process.env);
  if (!cluster) return undefined;
  console.error(describeCluster(cluster));
  const gpu = gpuOfProcess(cluster, process.env.CUDA_VISIBLE_DEVICES);
  if (gpu !== undefined) process.env.CUDA_VISIBLE_DEVICES = gpu;
  if (cluster.secret !== undefined) identifyJob({ key: keyOf(cluster), incarnation: cluster.incarnation });
  return cluster;
}

/** The share of this process in work that needs nothing from the other processes. */
export const shareOfCluster = (cluster: Cluster | undefined): Share =>
  cluster ? { index: cluster.process, count: cluster.processes } : { index: 0, count: 1 };

/** Any user can read a lock, so it holds a hash of what only the job knows. */
const keyOf = ({ job, secret }: Cluster) => createHash('sha256').update(`${job}\n${secret}`).digest('hex');
