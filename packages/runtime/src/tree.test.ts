import fc from 'fast-check';
import { expect, test } from 'vitest';
import { disposeTree, flattenTree, mapTree, type Tree, treeLeaves, unflattenTree } from './tree.js';

const tree = { stem: 1, blocks: [{ attn: { weight: 2 } }, { attn: { weight: 3 } }] };

test('names are the way to a leaf, joined with dots', () => {
  expect({ ...flattenTree(tree) }).toEqual({ stem: 1, 'blocks.0.attn.weight': 2, 'blocks.1.attn.weight': 3 });
  expect(mapTree(tree, (leaf, name) => `${name}=${leaf}`)).toEqual({
    stem: 'stem=1',
    blocks: [{ attn: { weight: 'blocks.0.attn.weight=2' } }, { attn: { weight: 'blocks.1.attn.weight=3' } }],
  });
  expect(treeLeaves(tree)).toEqual([1, 2, 3]);
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

test('disposes every leaf', () => {
  let disposed = 0;
  const leaf = { dispose: () => void disposed++ };
  class Leaf {
    dispose = leaf.dispose;
  }
  disposeTree({ a: [new Leaf(), new Leaf()], b: new Leaf() });
  expect(disposed).toBe(3);
});
