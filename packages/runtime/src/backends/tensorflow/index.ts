export { type Check, type DoctorOptions, tensorflowDoctor } from './doctor.js';
export { type LinkOptions, linkTensorflow } from './link.js';
export type { LinkRecord } from './link-record.js';
export { type LoadedTensorflow, type LoadOptions, loadTensorflow } from './load.js';
export { type ProblemCode, TensorflowProblem } from './problem.js';
