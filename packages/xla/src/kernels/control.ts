import type { Node } from '../graph/node.js';
import { activeTrace } from '../graph/node.js';
import * as ew from '../hlo/elementwise.js';
import { allReduceSum, optimizationBarrier } from '../hlo/reduce.js';
import { convert } from '../hlo/shape.js';
import type { KernelTable } from './registry.js';
import { float } from './unary.js';

/** The mean over the replicas of the program being traced. */
function replicaMean(x: Node): Node {
  const replicas = activeTrace()?.replicas ?? 1;
  if (replicas === 1) return x;
  const sum = allReduceSum(float(x), replicas);
  return ew.multiply(sum, ew.like(sum, 1 / replicas));
}

export const controlKernels: KernelTable = {
  AllReduceMean: ({ x }) => replicaMean(x.node),
  OptimizationBarrier: (inputs) => optimizationBarrier(Object.values(inputs).map(({ node }) => node)),
  StorageBfloat16: ({ x }) => (x.node.type.type === 'f32' ? convert(x.node, 'bf16') : x.node),
  StorageFloat32: ({ x }) => float(x.node),
};
