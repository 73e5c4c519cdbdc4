export { XlaBackend } from './backend.js';
export { compiledPrograms, jit, type ProgramReport, type XlaJitOptions } from './jit.js';
export { definedKernels, defineKernel, type Inputs, type Kernel, type Value } from './kernels/registry.js';
export { registerBackend } from './register.js';
export { allReduceMean, replicate } from './replicas.js';
