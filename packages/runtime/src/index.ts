export { assertBackend } from './backends/assert-backend.js';
export {
  type BackendChoice,
  BackendError,
  type BackendName,
  type BackendOptions,
  type BackendReport,
  useBackend,
} from './backends/use-backend.js';
export { type ArgumentReader, type ArgumentTensor, type Call, createArgumentReader } from './jit/arguments.js';
export { type CompileEvent, onCompile, reportCompile, untilReady } from './jit/compile-events.js';
export {
  type BackendSupport,
  type BackendTraits,
  backendTraits,
  donatedTensors,
  type JitOptions,
  jit,
  type Prepared,
  type Replicated,
  registerBackendSupport,
} from './jit/jit.js';
export { allReduceMean, replicate } from './jit/replicas.js';
export { type JobAddress, type JoinedProcesses, joinProcesses, type Progress } from './join-processes.js';
export { dropElements } from './operations/drop-elements.js';
export { type FusedAttentionInputs, fusedAttention } from './operations/fused-attention.js';
export {
  type Declines,
  definedOperations,
  defineOperation,
  type Operation,
  type OperationInputs,
  operationChoices,
  setKernelCondition,
} from './operations/operation.js';
export { rematerialize } from './operations/rematerialize.js';
export { storeBfloat16, storeFloat32 } from './operations/storage.js';
export {
  fromFirstProcess,
  getJson,
  meetProcesses,
  nextKey,
  oneProcess,
  type ProcessGroup,
  type ProcessStore,
  putJson,
  replicasOfProcess,
  waitForKey,
} from './processes.js';
export { drawKeys, type HostRandom, hostRandom } from './random/host-random.js';
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
} from './random/random.js';
export { registerRandomKernels } from './random/random-kernels.js';
export { type Share, shareOf, shareRange } from './shares.js';
export { startWorker } from './start-worker.js';
export { receiveBytes, sendBytes } from './transfer.js';
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
