/**
 * Parameter trees: nested plain objects and arrays whose leaves are tensors (or anything that is neither a plain
 * object nor an array). Joined with dots, the way to a leaf is its name in an official checkpoint:
 * `{ blocks: [{ attn: { weight } }] }` ↔ `blocks.0.attn.weight`.
 */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [name: string]: Tree<T> };

type Disposable = { dispose(): void };

/** Applies `fn` to every leaf, with its dotted name, and keeps the tree's form. */
export function mapTree<T, U>(tree: Tree<T>, fn: (leaf: T, name: string) => U, name = ''): Tree<U> {
  const inner = (key: string) => (name === '' ? key : `${name}.${key}`);
  if (Array.isArray(tree)) return tree.map((child, index) => mapTree(child, fn, inner(`${index}`)));
  if (!isRecord(tree)) return fn(tree as T, name);
  const mapped: Record<string, Tree<U>> = {};
  for (const key of Object.keys(tree)) define(mapped, key, mapTree(tree[key] as Tree<T>, fn, inner(key)));
  return mapped;
}

/** The leaves by dotted name, in the tree's order. The record has no prototype: any name is safe in it. */
export function flattenTree<T>(tree: Tree<T>): Record<string, T> {
  const flat: Record<string, T> = Object.create(null);
  mapTree(tree, (leaf, name) => {
    flat[name] = leaf;
  });
  return flat;
}

/**
 * The tree that `flattenTree` flattened. A node whose names are exactly 0, 1, … n − 1 becomes an array; empty arrays
 * and objects have no leaves and so do not come back.
 *
 * @throws Error when one name is both a leaf and a node (`a` and `a.b`)
 */
export function unflattenTree<T>(record: Readonly<Record<string, T>>): Tree<T> {
  if ('' in record && Object.keys(record).length === 1) return record[''];
  const root: Node<T> = new Map();
  for (const name of Object.keys(record)) insert(root, name, record[name]);
  return fromNode(root);
}

/** All leaves in the tree's order. */
export function treeLeaves<T>(tree: Tree<T>): T[] {
  const leaves: T[] = [];
  collectLeaves(tree, leaves);
  return leaves;
}

// Every call of a compiled function looks for its tensors, so this takes no names along.
function collectLeaves<T>(tree: Tree<T>, leaves: T[]): void {
  if (Array.isArray(tree)) for (const child of tree) collectLeaves(child, leaves);
  else if (isRecord(tree)) for (const name of Object.keys(tree)) collectLeaves(tree[name] as Tree<T>, leaves);
  else leaves.push(tree as T);
}

/** Disposes every tensor of a tree. */
export function disposeTree(tree: Tree<Disposable>): void {
  for (const leaf of treeLeaves(tree)) leaf.dispose();
}

type Node<T> = Map<string, Node<T> | { leaf: T }>;

function insert<T>(root: Node<T>, name: string, leaf: T): void {
  const path = name.split('.');
  const last = path.pop()!;
  let node = root;
  for (const key of path) {
    const next = node.get(key) ?? new Map();
    if (!(next instanceof Map)) throw new Error(`unflattenTree: ${name} lies below ${key}, which is a leaf itself`);
    node.set(key, next);
    node = next;
  }
  if (node.has(last)) throw new Error(`unflattenTree: ${name} must be a leaf, got leaves below it too`);
  node.set(last, { leaf });
}

function fromNode<T>(node: Node<T> | { leaf: T }): Tree<T> {
  if (!(node instanceof Map)) return node.leaf;
  const isList =
    node.size > 0 && [...node.keys()].every((key) => /^(0|[1-9]\d*)$/.test(key) && Number(key) < node.size);
  if (isList) return Array.from({ length: node.size }, (_, index) => fromNode(node.get(`${index}`)!));
  const record: Record<string, Tree<T>> = {};
  for (const [key, child] of node) define(record, key, fromNode(child));
  return record;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Assignment that a key named `__proto__` cannot turn into a change of prototype. */
function define<T>(record: Record<string, T>, key: string, value: T): void {
  Object.defineProperty(record, key, { value, enumerable: true, writable: true, configurable: true });
}
