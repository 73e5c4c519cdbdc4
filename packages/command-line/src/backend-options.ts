import { choice, grouped, type Values } from './options.js';

/** Where computation runs. */
export const backendOptions = grouped('Backend', {
  backend: choice('backend that runs the computation', ['auto', 'xla', 'tensorflow', 'webgpu', 'wasm', 'cpu'], {
    default: 'auto',
  }),
  device: choice('fail if the backend would use another device (xla and tensorflow)', ['cpu', 'gpu']),
  precision: choice('precision of matrix products and convolutions on xla', ['bf16', 'fp32'], { default: 'bf16' }),
});

/** What decides which backend is loaded. */
export type BackendValues = Pick<Values<typeof backendOptions>, 'backend' | 'device'>;
