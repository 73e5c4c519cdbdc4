/** Attention as one kernel: against single operations, and the call to cuDNN as text. */
import { fusedAttention, operationChoices, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Executor } from '../src/executor.js';
import { jit } from '../src/jit.js';
import { registerBackend } from '../src/register.js';
import { hasTestDevice, useTestDevice } from './device.js';
import { createFakeExecutor } from './fake-executor.js';
import { numbers } from './kernel-inputs.js';

// N = sequences, S = queries and keys, H = heads, E = width of a head

type Shape = [number, number, number, number];

const inputsOf = (shape: Shape, counts?: number[]) => ({
  query: numbers(shape, { seed: 1 }) as tf.Tensor4D,
  key: numbers(shape, { seed: 2 }) as tf.Tensor4D,
  value: numbers(shape, { seed: 3 }) as tf.Tensor4D,
  ...(counts && { keyCounts: tf.tensor1d(counts, 'int32') }),
});

type Inputs = ReturnType<typeof inputsOf>;

/** The definition, query by query, over the keys that count. */
function byDefinition({ query, key, value, keyCounts }: Inputs, scale: number): number[] {
  const [N, S, H, E] = query.shape;
  const [q, k, v] = [query, key, value].map((each) => each.dataSync());
  const at = (n: number, s: number, h: number) => ((n * S + s) * H + h) * E;
  const counts = keyCounts?.dataSync() ?? new Int32Array(N).fill(S);
  const output = new Array<number>(query.size).fill(0);
  for (let n = 0; n < N; n++)
    for (let s = 0; s < S; s++)
      for (let h = 0; h < H; h++) {
        const weights = Array.from({ length: counts[n] }, (_, j) => {
          let score = 0;
          for (let e = 0; e < E; e++) score += q[at(n, s, h) + e] * k[at(n, j, h) + e];
          return Math.exp(score * scale);
        });
        const total = weights.reduce((a, b) => a + b);
        for (const [j, weight] of weights.entries())
          for (let e = 0; e < E; e++) output[at(n, s, h) + e] += (weight / total) * v[at(n, j, h) + e];
      }
  return output;
}

describe.skipIf(!hasTestDevice())('attention as one kernel', () => {
  let executor: Executor;
  beforeAll(async () => {
    executor = await useTestDevice();
  });
  afterAll(() => executor.dispose());

  const cases: [Shape, number[] | undefined][] = [
    [[2, 12, 2, 8], undefined],
    [
      [2, 12, 2, 8],
      [12, 5],
    ],
    [
      [3, 40, 4, 40],
      [1, 17, 40],
    ],
    [[1, 80, 2, 64], undefined],
  ];
  it.each(cases)(
    'is what its definition in plain operations gives, for shape %s and key counts %s',
    (shape, counts) => {
      const inputs = inputsOf(shape, counts);
      const scale = shape[3] ** -0.5;
      const expected = byDefinition(inputs, scale);
      process.env.TB_PLAIN = 'FusedAttention';
      const plain = tf.tidy(() => [...fusedAttention(inputs, scale).dataSync()]);
      delete process.env.TB_PLAIN;
      plain.forEach((value, i) => {
        expect(Math.abs(value - expected[i])).toBeLessThan(1e-5);
      });
      tf.dispose(inputs);
    },
  );

  it.each(cases)('mixes values of shape %s with key counts %s', async (shape, counts) => {
    const inputs = inputsOf(shape, counts);
    const scale = shape[3] ** -0.5;
    const expected = byDefinition(inputs, scale);
    for (const [precision, tolerance] of [
      ['fp32', 1e-5],
      ['bf16', 2e-2],
    ] as const) {
      const program = jit((given: Inputs) => fusedAttention(given, scale)!, { precision });
      const output = program(inputs);
      const values = await output.data<'float32'>();
      const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
      expect(worst).toBeLessThan(tolerance);
      output.dispose();
    }
    tf.dispose(inputs);
  });
});

it('calls cuDNN in bf16 programs on GPUs, and composes where gradients are recorded', async () => {
  await useBackend('cpu'); // its gradients serve every backend
  const executor = { ...createFakeExecutor(), platform: 'cuda' };
  registerBackend(executor);
  await tf.setBackend('xla');
  const inputs = inputsOf([2, 12, 2, 8], [12, 5]);
  jit((given: Inputs) => fusedAttention(given, 0.5)!, { precision: 'bf16' })(inputs);
  jit((given: Inputs) => fusedAttention(given, 0.5)!, { precision: 'fp32' })(inputs);
  const [half, full] = executor.modules;
  expect(full).not.toContain('custom_call');
  const [call] = /"stablehlo.custom_call".*/.exec(half)!;
  expect(call).toContain('(tensor<2x2x12x8xbf16>, tensor<0xui8>)');
  const config = JSON.parse(JSON.parse(/backend_config = ("[^"]*")/.exec(call)![1].replaceAll('\\22', '\\"')));
  expect(config.cudnn_fmha_backend_config).toMatchObject({ fmha_scale: 0.5, mask_type: 'PADDING' });
  const slope = tf.grad((query) => tf.sum(fusedAttention({ ...inputs, query: query as tf.Tensor4D }, 0.5)))(
    inputs.query,
  );
  slope.dataSync();
  expect(operationChoices().FusedAttention).toBe('gradients are recorded');
  expect(executor.modules.at(-1)).not.toContain('custom_call');
});
