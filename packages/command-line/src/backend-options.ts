import { choice, grouped, type Values } from './options.js';

/** Where computation runs. */
export const backendOptions = grouped('Backend', {
  backend: choice('what runs the computation', ['auto', 'xla', 'tensorflow', 'webgpu', 'wasm', 'cpu'], {
    default: 'auto',
  }),
  device: choice('refuse any other device (backends xla and tensorflow)', ['cpu', 'gpu']),
  precision: choice('precision of matrix products and convolutions on xla', ['bf16', 'fp32'], { default: 'bf16' }),
});

/** What decides which backend is loaded. */
export type BackendValues = Pick<Values<typeof backendOptions>, 'backend' | 'device'>;
