export { type ArgumentReader, type ArgumentTensor, type Call, createArgumentReader } from './arguments.js';
export { assertBackend } from './assert-backend.js';
export {
  type BackendChoice,
  type BackendName,
  type BackendOptions,
  type BackendReport,
  useBackend,
} from './backend.js';
export { checkpoint } from './checkpoint.js';
export { dropElements } from './drop-elements.js';
export { type FusedAttentionInputs, fusedAttention } from './fused-attention.js';
export { drawKeys, type HostRandom, hostRandom } from './host-random.js';
export { donatedTensors, type JitEngine, type JitOptions, jit, type Replicated, registerJitEngine } from './jit.js';
export {
  dropoutMask,
  foldIn,
  gumbel,
  type Key,
  normal,
  permutation,
  randomIntegers,
  randomKey,
  splitKey,
  type TruncatedNormal,
  truncatedNormal,
  uniform,
} from './random.js';
export { registerRandomKernels } from './random-kernels.js';
export { allReduceMean, deviceCount, replicate } from './replicas.js';
export { storeBfloat16, storeFloat32 } from './storage.js';
export {
  disposeTree,
  flattenTree,
  type MappedTree,
  mapTree,
  mapTreeWithNames,
  type TensorTree,
  type Tree,
  tidyTree,
  treeLeaves,
  unflattenTree,
} from './tree.js';
