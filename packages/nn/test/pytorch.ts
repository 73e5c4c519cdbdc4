import { readFileSync } from 'node:fs';
import { flattenTree, type Tree, treeLeaves, unflattenTree } from '@tb/runtime';
import { expectClose } from '@tb/test-utils';
import * as tf from '@tensorflow/tfjs-core';

type Values = { shape: number[]; data: number[] };
type Case = {
  params: Record<string, Values>;
  input: Values;
  upstream: Values;
  output: Values;
  inputGradient: Values;
  gradients: Record<string, Values>;
};

const fixtures = JSON.parse(readFileSync(new URL('../fixtures/layers.json', import.meta.url), 'utf8'));

/** One of the cases that fixtures/generate.py made with PyTorch. */
export function pytorchCase<T = Case>(name: string): T {
  return fixtures.cases[name];
}

export function tensorOf<T extends tf.Tensor>(values: Values, dtype: 'float32' | 'int32' = 'float32'): T {
  return tf.tensor(values.data, values.shape, dtype) as T;
}

/**
 * Compares a layer with PyTorch: its output, the gradients of its input and of every parameter; and checks that
 * nothing but the result stays in memory.
 */
export function expectLikePyTorch<Params, X extends tf.Tensor>(
  name: string,
  apply: (params: Params, x: X) => tf.Tensor,
  tolerance = 1e-5,
): void {
  tf.tidy(() => {
    const expected = pytorchCase(name);
    const params = unflattenTree(
      Object.fromEntries(Object.entries(expected.params).map(([key, values]) => [key, tensorOf(values)])),
    ) as Tree<tf.Tensor>;
    const x = tensorOf<X>(expected.input);
    const before = tf.memory().numTensors;
    const output = apply(params as Params, x);
    if (tf.memory().numTensors !== before + 1) throw new Error(`${name} leaves tensors behind`);
    expectClose(output.dataSync(), expected.output.data, tolerance, name);
    if (`${output.shape}` !== `${expected.output.shape}`) throw new Error(`${name} has shape ${output.shape}`);

    const names = Object.keys(flattenTree(params));
    const gradients = tf.grads((...leaves: tf.Tensor[]) => {
      const tree = unflattenTree(Object.fromEntries(names.map((key, index) => [key, leaves[index + 1]])));
      return tf.sum(tf.mul(apply(tree as Params, leaves[0] as X), tensorOf(expected.upstream)));
    })([x, ...treeLeaves(params)]);
    const expectGradient = (of: string, gradient: tf.Tensor, values: Values) =>
      // The 1 sets the scale for gradients that are zero but for rounding: those of a bias before a softmax.
      expectClose([...gradient.dataSync(), 1], [...values.data, 1], tolerance, `${name}: gradient of ${of}`);
    expectGradient('the input', gradients[0], expected.inputGradient);
    for (const [index, key] of names.entries()) expectGradient(key, gradients[index + 1], expected.gradients[key]);
  });
}
