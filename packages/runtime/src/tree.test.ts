import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { useBackend } from './backends/use-backend.js';
import {
  disposeTree,
  flattenTree,
  mapTree,
  mapTreeWithNames,
  type Tree,
  tidyTree,
  treeLeaves,
  unflattenTree,
} from './tree.js';

const tree = { stem: 1, blocks: [{ attn: { weight: 2 } }, { attn: { weight: 3 } }] };

test('flattenTree joins the names on the way to a leaf with dots', () => {
  expect({ ...flattenTree(tree) }).toEqual({ stem: 1, 'blocks.0.attn.weight': 2, 'blocks.1.attn.weight': 3 });
  expect(mapTreeWithNames((leaf: number, name) => `${name}=${leaf}`, tree)).toEqual({
    stem: 'stem=1',
    blocks: [{ attn: { weight: 'blocks.0.attn.weight=2' } }, { attn: { weight: 'blocks.1.attn.weight=3' } }],
  });
  expect(treeLeaves(tree)).toEqual([1, 2, 3]);
});

test('mapTree maps several trees at once and keeps empty arrays', () => {
  const trees = [
    { a: 1, layers: [] as number[], b: [2] },
    { b: [20], a: 10 },
  ] as const;
  expect(mapTree((left: number, right) => left + right, trees[0] as Tree<number>, trees[1])).toEqual({
    a: 11,
    layers: [],
    b: [22],
  });
});

test('mapTree refuses trees with different leaves, and names the leaf', () => {
  const add = (other: Tree<number>) => () =>
    mapTree((left: number, right) => left + right, { a: 1, b: [2] } as Tree<number>, other);
  expect(add({ a: 1 })).toThrow('mapTree: trees must have the same leaves, one lacks b.0');
  expect(add({ a: 1, b: [2, 3] })).toThrow('one has b.1, the first one does not');
  expect(add({ a: 1, b: [2], c: { d: 4 } })).toThrow('one has c.d, the first one does not');
  expect(add({ a: 1, b: 2 })).toThrow('one has a leaf at b, the first one does not');
  expect(add({ a: { c: 1 }, b: [2] })).toThrow('one lacks a');
});

test('mapTree of tensors keeps the type of the tree', async () => {
  await useBackend('cpu');
  type Layers = { weight: tf.Tensor2D; norms?: { scale: tf.Tensor1D }[] };
  const layers: Layers = tidyTree(() => ({ weight: tf.ones<tf.Rank.R2>([2, 3]) }));
  const doubled: Layers = mapTree((x) => tf.mul(x, 2), layers);
  const shapes: { weight: number[] } = mapTree((x: tf.Tensor) => x.shape, { weight: layers.weight });
  expect([doubled.weight.dataSync()[0], shapes.weight]).toEqual([2, [2, 3]]);
  disposeTree([layers, doubled]);
});

test('tidyTree disposes what is not returned, and all if it throws', async () => {
  await useBackend('cpu');
  const before = tf.memory().numTensors;
  const kept = tidyTree(() => ({ sum: tf.add(tf.scalar(1), tf.scalar(2)) }));
  expect(tf.memory().numTensors).toBe(before + 1);
  disposeTree(kept);
  expect(() =>
    tidyTree(() => {
      tf.scalar(1);
      throw new Error('stop');
    }),
  ).toThrow('stop');
  expect(tf.memory().numTensors).toBe(before);
});

test('a tree of one leaf has the empty name', () => {
  expect(unflattenTree(flattenTree<number>(7))).toBe(7);
});

test('more than nine layers keep their order', () => {
  const layers = Array.from({ length: 12 }, (_, index) => index);
  expect(unflattenTree(flattenTree<number>({ layers }))).toEqual({ layers });
});

test('unflatten undoes flatten', () => {
  const name = fc.oneof(fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}$/), fc.constantFrom('__proto__', 'constructor'));
  const { node } = fc.letrec<{ node: Tree<number> }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.integer(),
      fc.array(tie('node'), { minLength: 1, maxLength: 4 }),
      fc.dictionary(name, tie('node'), { minKeys: 1, maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(node, (original) => {
      expect(unflattenTree(flattenTree(original))).toEqual(original);
    }),
  );
});

test('a record named __proto__ changes no prototype', () => {
  const mapped = unflattenTree(JSON.parse('{"__proto__.polluted": 1}')) as Record<string, unknown>;
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  expect(Object.getPrototypeOf(mapped)).toBe(Object.prototype);
});

test('a name that is leaf and node at once is an error', () => {
  expect(() => unflattenTree({ a: 1, 'a.b': 2 })).toThrow(/a\.b lies below a/);
  expect(() => unflattenTree({ 'a.b': 2, a: 1 })).toThrow(/a must be a leaf/);
});

test('disposeTree disposes every leaf', () => {
  let disposed = 0;
  const leaf = { dispose: () => void disposed++ };
  class Leaf {
    dispose = leaf.dispose;
  }
  disposeTree({ a: [new Leaf(), new Leaf()], b: new Leaf() });
  expect(disposed).toBe(3);
});
