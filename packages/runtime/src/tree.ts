import * as tf from '@tensorflow/tfjs-core';

/**
 * A tree: nested plain objects and arrays. Whatever is neither a plain object nor an array is a leaf, most often a tensor.
 *
 * The names on the way to a leaf, joined with dots, are the leaf's name in an official checkpoint:
 * `{ blocks: [{ attn: { weight } }] }` ↔ `blocks.0.attn.weight`.
 */
export type Tree<Leaf> = Leaf | readonly Tree<Leaf>[] | { readonly [name: string]: Tree<Leaf> };

/** A tree of tensors, such as a model's parameters. */
export type TensorTree = Tree<tf.Tensor>;

/** The type of the tree `T` after each `Leaf` in it became an `Out`. */
export type MappedTree<T, Leaf, Out> = [Tree<Leaf>] extends [T] // any tree at all; without this the type has no end
  ? Tree<Out>
  : T extends Leaf
    ? Out
    : T extends object
      ? { [Name in keyof T]: MappedTree<T[Name], Leaf, Out> }
      : T;

type Disposable = { dispose(): void };

/**
 * Applies `fn` to each leaf, and to the leaves at the same place in the other trees. The result has the form of the first
 * tree, empty arrays and objects included.
 *
 * A function from tensors to tensors keeps the tree's type; its results must keep the leaves' ranks.
 *
 * @throws Error naming the leaf if the trees do not have the same leaves
 */
export function mapTree<T extends TensorTree>(
  fn: (leaf: tf.Tensor, ...others: tf.Tensor[]) => tf.Tensor,
  tree: T,
  ...others: NoInfer<T>[]
): T;
export function mapTree<Leaf, Out, T extends Tree<Leaf>>(
  fn: (leaf: Leaf, ...others: NoInfer<Leaf>[]) => Out,
  tree: T,
  ...others: NoInfer<T>[]
): MappedTree<T, Leaf, Out>;
export function mapTree<Leaf, Out>(fn: (...leaves: Leaf[]) => Out, ...trees: Tree<Leaf>[]): Tree<Out> {
  return mapNodes((_, ...leaves) => fn(...(leaves as Leaf[])), '', trees) as Tree<Out>;
}

/** As `mapTree` of one tree, with the leaf's dotted name as the second argument of `fn`. */
export function mapTreeWithNames<T extends TensorTree>(fn: (leaf: tf.Tensor, name: string) => tf.Tensor, tree: T): T;
export function mapTreeWithNames<Leaf, Out, T extends Tree<Leaf>>(
  fn: (leaf: Leaf, name: string) => Out,
  tree: T,
): MappedTree<T, Leaf, Out>;
export function mapTreeWithNames<Leaf, Out, T extends Tree<Leaf>>(
  fn: (leaf: Leaf, name: string) => Out,
  tree: T,
): unknown {
  return mapNodes((name, leaf) => fn(leaf as Leaf, name), '', [tree]);
}

function mapNodes(fn: (name: string, ...leaves: unknown[]) => unknown, name: string, trees: unknown[]): unknown {
  const [tree, ...others] = trees;
  if (!isNode(tree)) {
    for (const other of others) if (other === undefined || isNode(other)) throw unequalTrees(`lacks ${name}`);
    return fn(name, ...trees);
  }
  for (const other of others) assertNoFurtherLeaves(name, tree, other);
  const mapChild = (key: string) =>
    mapNodes(
      fn,
      childName(name, key),
      trees.map((node) => childOf(node, key)),
    );
  if (Array.isArray(tree)) return tree.map((_, index) => mapChild(`${index}`));
  const mapped: Record<string, unknown> = {};
  for (const key of Object.keys(tree)) define(mapped, key, mapChild(key));
  return mapped;
}

function assertNoFurtherLeaves(name: string, tree: object, other: unknown): void {
  if (other !== undefined && !isNode(other)) throw unequalTrees(`has a leaf at ${name}, the first one does not`);
  for (const key of Object.keys(other ?? {})) {
    if (Object.hasOwn(tree, key)) continue;
    const [leaf] = Object.keys(flattenTree<unknown>(childOf(other, key) as Tree<unknown>));
    if (leaf !== undefined) throw unequalTrees(`has ${childName(childName(name, key), leaf)}, the first one does not`);
  }
}

function unequalTrees(difference: string): Error {
  return new Error(`mapTree: trees must have the same leaves, one ${difference}`);
}

/** The leaves by dotted name, in the tree's order. The record has no prototype: any name is safe in it. */
export function flattenTree(tree: TensorTree): Record<string, tf.Tensor>;
export function flattenTree<Leaf>(tree: Tree<Leaf>): Record<string, Leaf>;
export function flattenTree<Leaf>(tree: Tree<Leaf>): Record<string, Leaf> {
  const flat: Record<string, Leaf> = Object.create(null);
  mapTreeWithNames((leaf: Leaf, name) => {
    flat[name] = leaf;
  }, tree);
  return flat;
}

/**
 * The tree that `flattenTree` flattened. A node whose names are exactly 0, 1, … n − 1 becomes an array; empty arrays
 * and objects have no leaves and so do not come back.
 *
 * @throws Error when one name is both a leaf and a node (`a` and `a.b`)
 */
export function unflattenTree<Leaf>(record: Readonly<Record<string, Leaf>>): Tree<Leaf> {
  if ('' in record && Object.keys(record).length === 1) return record[''];
  const root: BranchOf<Leaf> = new Map();
  for (const name of Object.keys(record)) insert(root, name, record[name]);
  return treeOfBranch(root);
}

/** All leaves in the tree's order. */
export function treeLeaves(tree: TensorTree): tf.Tensor[];
export function treeLeaves<Leaf>(tree: Tree<Leaf>): Leaf[];
export function treeLeaves<Leaf>(tree: Tree<Leaf>): Leaf[] {
  const leaves: Leaf[] = [];
  collectLeaves(tree, leaves);
  return leaves;
}

// Every call of a compiled function looks for its tensors, so no names are made here.
function collectLeaves<Leaf>(tree: Tree<Leaf>, leaves: Leaf[]): void {
  if (Array.isArray(tree)) for (const child of tree) collectLeaves(child, leaves);
  else if (isNode(tree)) for (const name of Object.keys(tree)) collectLeaves(tree[name] as Tree<Leaf>, leaves);
  else leaves.push(tree as Leaf);
}

/** `tf.tidy` for any tree: disposes the tensors that `make` made and does not return, or all of them if it throws. */
export function tidyTree<T extends object>(make: () => T): T {
  return tf.tidy(() => make() as unknown as tf.TensorContainer) as unknown as T;
}

/** Disposes every tensor of a tree. */
export function disposeTree(tree: Tree<Disposable>): void {
  for (const leaf of treeLeaves(tree)) leaf.dispose();
}

type BranchOf<Leaf> = Map<string, BranchOf<Leaf> | { leaf: Leaf }>;

function insert<Leaf>(root: BranchOf<Leaf>, name: string, leaf: Leaf): void {
  const path = name.split('.');
  const last = path.pop()!;
  let branch = root;
  for (const key of path) {
    const next = branch.get(key) ?? new Map();
    if (!(next instanceof Map)) throw new Error(`unflattenTree: ${name} lies below ${key}, which is a leaf itself`);
    branch.set(key, next);
    branch = next;
  }
  if (branch.has(last)) throw new Error(`unflattenTree: ${name} must be a leaf, got leaves below it too`);
  branch.set(last, { leaf });
}

function treeOfBranch<Leaf>(branch: BranchOf<Leaf> | { leaf: Leaf }): Tree<Leaf> {
  if (!(branch instanceof Map)) return branch.leaf;
  const isList =
    branch.size > 0 && [...branch.keys()].every((key) => /^(0|[1-9]\d*)$/.test(key) && Number(key) < branch.size);
  if (isList) return Array.from({ length: branch.size }, (_, index) => treeOfBranch(branch.get(`${index}`)!));
  const record: Record<string, Tree<Leaf>> = {};
  for (const [key, child] of branch) define(record, key, treeOfBranch(child));
  return record;
}

/** Whether a value is an inner node of a tree: an array or a plain object. */
export function isNode(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

function childOf(node: unknown, key: string): unknown {
  return isNode(node) && Object.hasOwn(node, key) ? node[key] : undefined;
}

function childName(name: string, key: string): string {
  return name === '' || key === '' ? name + key : `${name}.${key}`;
}

/** Assignment that a key named `__proto__` cannot turn into a change of prototype. */
function define<T>(record: Record<string, T>, key: string, value: T): void {
  Object.defineProperty(record, key, { value, enumerable: true, writable: true, configurable: true });
}
