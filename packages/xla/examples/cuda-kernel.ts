import { defineOperation, jit, operationChoices, useBackend } from '@tb/runtime';
import { defineCudaKernel } from '@tb/xla';
import * as tf from '@tensorflow/tfjs-core';

// 1. Name the operation and define it in plain TensorFlow.js operations.
const rmsNorm = defineOperation('RmsNorm', ({ x }: { x: tf.Tensor }, { epsilon }: { epsilon: number }) =>
  tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), epsilon))),
);

// 2. Write the kernel. Its parameters are pointers: first the operands, then the results. One thread block computes one row.
const source = `
extern "C" __global__ void rms_norm(const float* x, float* y) {
  __shared__ float sums[THREADS / 32];
  const size_t row = (size_t)blockIdx.x * WIDTH;
  float sum = 0;
  for (int i = threadIdx.x; i < WIDTH; i += THREADS) sum += x[row + i] * x[row + i];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  float total = 0;
  for (int i = 0; i < THREADS / 32; i++) total += sums[i];
  const float scale = rsqrtf(total / WIDTH + EPSILON);
  for (int i = threadIdx.x; i < WIDTH; i += THREADS) y[row + i] = x[row + i] * scale;
}`;

// 3. Describe the launch. `defines` become macros; the kernel is compiled once for each set of them.
defineCudaKernel('RmsNorm', {
  source,
  entry: 'rms_norm',
  declines: ({ x }) => (x?.node.type.type === 'f32' ? undefined : 'made for float32'),
  launch: ({ x }, { epsilon }) => {
    const { type, shape } = x!.node.type;
    const width = shape.at(-1)!;
    const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    return {
      operands: [x!.node],
      results: [{ type, shape }],
      grid: [rows],
      block: [256],
      defines: { WIDTH: width, THREADS: 256, EPSILON: `${epsilon}f` },
    };
  },
});

await useBackend('auto');
const normalize = jit((x: tf.Tensor) => rmsNorm({ x }, { epsilon: 1e-6 }));
const x = tf.randomNormal([512, 1024]);
const y = normalize(x);
console.log(operationChoices().RmsNorm); // `kernel` on a CUDA GPU; elsewhere the reason why the definition ran
console.log(tf.max(tf.abs(tf.sub(y, rmsNorm.plain({ x }, { epsilon: 1e-6 })))).dataSync()[0]); // below 1e-5
