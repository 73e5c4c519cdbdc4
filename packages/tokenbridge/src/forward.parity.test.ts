import type { HostTensor } from '@tb/io';
import { flattenTree, mapTree, useBackend } from '@tb/runtime';
import { expectClose, goldenJson, goldenTensors, testBackend } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { caseInputs, goldenModel } from '../test/golden-model.js';
import { evaluate, loss } from './loss.js';
import type { LossInputs } from './masked-context.js';
import type { TokenBridge, TokenBridgeConfig } from './model.js';
import { dequantize, quantize } from './quantization.js';

let model: { params: TokenBridge; config: TokenBridgeConfig };
let golden: Record<string, HostTensor>;

beforeAll(async () => {
  await useBackend(testBackend);
  model = await goldenModel();
  golden = await goldenTensors('tokenbridge', 'forward.safetensors');
});

const description = goldenJson('tokenbridge', 'config.json');
const cases = Object.keys(description.forward_cases);
const paddings = [
  ['without padding', 1],
  ['padded', 5],
] as const;

describe.each(cases)('forward case %s', (name) => {
  const { loss: expectedLoss, num_masked: masked } = description.forward_cases[name];

  it.each(paddings)('gives the reference’s activations, %s', async (_, granularity) => {
    const inputs = caseInputs(golden, name, granularity);
    const seen = activations(inputs);
    const { bufferSize } = model.config.backbone;
    const [images, positions] = golden[`${name}.mask`].shape;
    const compared = Object.entries(golden).filter(
      ([key, { dtype }]) => key.startsWith(`${name}.`) && dtype === 'F32' && !/latents|mask|quant_values/.test(key),
    );
    expect(compared.length).toBeGreaterThanOrEqual(3);
    for (const [key, expected] of compared) {
      const ours = seen[officialName(key.slice(name.length + 1))];
      expect(ours, key).toBeDefined();
      // Padding is at the end of each image's rows, behind those that the reference has.
      const isEncoder = /encoder_(blocks|out)/.test(key);
      const isHead = ours.shape[0] === images * inputs.masks.masked.shape[1] && /channel|condition|logits/.test(key);
      const cut = isHead
        ? tf.reshape(
            tf.slice(tf.reshape(ours, [images, -1, ...ours.shape.slice(1)]), [0, 0], [images, masked]),
            expected.shape,
          )
        : isEncoder
          ? tf.slice(ours, [0, 0], [images, bufferSize + positions - masked])
          : ours;
      expect(cut.shape, key).toEqual(expected.shape);
      expectClose(await cut.data(), expected.data as Float32Array, 1e-4, key);
    }
  });

  it.each(paddings)('gives the reference’s loss, %s', (_, granularity) => {
    const inputs = caseInputs(golden, name, granularity);
    expect(loss(model.params, model.config, inputs).dataSync()[0]).toBeCloseTo(expectedLoss, 4);
    expect(evaluate(model.params, model.config, inputs).loss.dataSync()[0]).toBeCloseTo(expectedLoss, 4);
  });

  it('gives the reference’s indices and values exactly', () => {
    const { latents } = caseInputs(golden, name, 1);
    const [images, height, width, channels] = latents.shape;
    const indices = quantize(model.config.quantizer, tf.reshape(latents, [images, height * width, channels]));
    expect([...indices.dataSync()]).toEqual([...(golden[`${name}.quant_indices`].data as Int32Array)]);
    const expected = golden[`${name}.quant_values`];
    if (expected)
      expect([...dequantize(model.config.quantizer, indices).dataSync()]).toEqual([...(expected.data as Float32Array)]);
  });
});

/** What a forward pass shows, by official name. */
function activations(inputs: LossInputs): Record<string, tf.Tensor> {
  const seen: Record<string, tf.Tensor> = {};
  loss(model.params, model.config, inputs, {
    observe: (name, activation) => {
      seen[name] = tf.keep(tf.clone(activation));
    },
  });
  return seen;
}

const officialName = (key: string) => (key === 'encoder_out' ? 'encoder_norm' : key);

describe('gradients', () => {
  it.each([
    ['A', 'without padding', 1, false],
    ['A', 'padded', 5, false],
    ['A', 'padded and rematerialized', 5, true],
    ['C', 'with hidden labels', 5, false],
  ] as const)('of case %s are the reference’s, %s', async (name, _, granularity, rematerialize) => {
    const expected = await expectedGradients(name);
    const gradients = gradientsOf(caseInputs(golden, name, granularity), rematerialize);
    // A bias of the keys' norm shifts all scores of a query alike, which softmax ignores: its gradient is rounding noise.
    const noise = 1e-6 * Math.max(...Object.values(expected).map(({ data }) => largest(data as Float32Array)));
    for (const [parameter, tensor] of Object.entries(expected)) {
      const [ours, theirs] = [gradients[parameter].dataSync(), tensor.data as Float32Array];
      if (largest(theirs) < noise) expect(largest(ours as Float32Array), parameter).toBeLessThan(noise);
      else expectClose(ours, theirs, 1e-3, parameter);
    }
    expect(Object.keys(expected).length).toBeGreaterThan(5);
  });
});

async function expectedGradients(name: string): Promise<Record<string, HostTensor>> {
  if (name === 'A') return goldenTensors('tokenbridge', 'grads_A.safetensors');
  const step = Object.entries(await goldenTensors('tokenbridge', 'train_step_C.safetensors'));
  return Object.fromEntries(
    step.filter(([key]) => key.startsWith('grad.')).map(([key, value]) => [key.slice(5), value]),
  );
}

function gradientsOf(inputs: LossInputs, rematerialize: boolean): Record<string, tf.Tensor> {
  const flat = flattenTree(model.params);
  const names = Object.keys(flat);
  const { grads } = tf.valueAndGrads((...leaves: tf.Tensor[]) => {
    let next = 0;
    const params = mapTree(() => leaves[next++], model.params);
    return loss(params, model.config, inputs, { rematerialize });
  })(Object.values(flat));
  return Object.fromEntries(names.map((name, index) => [name, grads[index]]));
}

const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
