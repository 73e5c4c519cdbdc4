export { XlaBackend } from './backend.js';
export { type CudaKernel, type CudaLaunch, defineCudaKernel } from './cuda/define-cuda-kernel.js';
export type { CudaDevice } from './cuda/ptx.js';
export { formatXlaInfo, type XlaInfo, xlaInfo } from './doctor.js';
export type {
  CompileOptions,
  DeviceBuffer,
  Executable,
  Executor,
  ProgramMemory,
} from './executor.js';
export * as hlo from './hlo/index.js';
export { compiledPrograms, describeGraph, jit, type ProgramReport } from './jit.js';
export { definedKernels, defineKernel, type Inputs, type Kernel, type Value } from './kernels/registry.js';
export { PjrtError, type StatusCode } from './pjrt/errors.js';
export { createPjrtExecutor, type PjrtExecutor, type PjrtExecutorOptions } from './pjrt/pjrt-executor.js';
export { openRendezvous, type Rendezvous } from './pjrt/rendezvous.js';
export { profile } from './profile.js';
export { provideExecutor, registerBackend, registerXla } from './register.js';
