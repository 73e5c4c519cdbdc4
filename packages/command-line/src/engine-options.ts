import { choice, grouped, type ValuesOf } from './options.js';

/** Where computation runs. */
export const engineOptions = grouped('Engine', {
  backend: choice('engine that computes', ['auto', 'xla', 'tensorflow', 'webgpu', 'wasm', 'cpu']),
  device: choice('refuse any other device (backends xla and tensorflow)', ['cpu', 'gpu']),
  precision: choice('of matrix products and convolutions on xla', ['bf16', 'fp32']),
});

export type EngineValues = ValuesOf<typeof engineOptions>;
