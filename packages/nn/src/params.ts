import { type DType, fromFloat32, type HostTensor, InputError, toFloat32 } from '@tb/io';
import { assertBackend, flattenTree, type Key, mapTree, splitKey, type Tree, tidyTree } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';

// Parameters are plain trees of tensors. Joined with dots, the path to a tensor is its name in the official checkpoints.
// A layer declares its parameters once: each one's shape and how its first value is made.

/** Sizes of a parameter's axes. */
export type Shape = readonly number[];

/** How a parameter's first value is made: drawn from a key, or one number everywhere. */
export type Initializer = ((key: Key, shape: Shape) => tf.Tensor) | number;

/** A parameter before it is made. */
export class DeclaredParameter {
  constructor(
    readonly shape: Shape,
    readonly initializer: Initializer,
  ) {}

  /** Makes the first value; `key` is used only if the initializer draws it. */
  make(key: Key): tf.Tensor {
    const { initializer, shape } = this;
    if (typeof initializer === 'function') return initializer(key, shape);
    // Made on the host: equal constants made on the device may share memory, which no donation could take over.
    const values = new Float32Array(tf.util.sizeFromShape([...shape])).fill(initializer);
    return tf.tensor(values, [...shape], 'float32');
  }
}

/** Declares one parameter. */
export function parameter(shape: Shape, initializer: Initializer): DeclaredParameter {
  return new DeclaredParameter(shape, initializer);
}

/** A tree of parameters before they are made: what `initParameters` and `shapesOf` read. */
export type Declaration<Params> = Params extends tf.Tensor
  ? DeclaredParameter
  : { [Name in keyof Params]: Declaration<Params[Name]> };

/**
 * Makes the first values of all declared parameters.
 *
 * @param key - every node splits its key among its children that draw values, in their order; a node with a single such
 *   child hands its key on, and a list always splits. So a value depends on the key and on its place in the tree.
 * @returns float32 tensors that the caller disposes
 */
export function initParameters<Params>(key: Key, declaration: Declaration<Params>): Params {
  return tidyTree(() => makeNode(key, declaration as DeclarationNode) as Params & object);
}

type DeclarationNode = DeclaredParameter | readonly DeclarationNode[] | { readonly [name: string]: DeclarationNode };

function makeNode(key: Key, node: DeclarationNode): unknown {
  if (node instanceof DeclaredParameter) return node.make(key);
  if (Array.isArray(node)) {
    const keys = splitKey(key, node.length);
    return node.map((child, index) => makeNode(keys[index], child));
  }
  const entries = Object.entries(node);
  const drawing = entries.filter(([, child]) => drawsValues(child)).map(([name]) => name);
  const keys = drawing.length === 1 ? [key] : splitKey(key, drawing.length);
  const keyOf = new Map(drawing.map((name, index) => [name, keys[index]]));
  return Object.fromEntries(entries.map(([name, child]) => [name, makeNode(keyOf.get(name) ?? key, child)]));
}

function drawsValues(node: DeclarationNode): boolean {
  if (node instanceof DeclaredParameter) return typeof node.initializer === 'function';
  return Array.isArray(node) || Object.values(node).some(drawsValues);
}

/** The shapes of all declared parameters, as a tree. */
export function shapesOf<Params>(declaration: Declaration<Params>): ShapesOf<Params> {
  return mapTree(({ shape }: DeclaredParameter) => shape, declaration as Tree<DeclaredParameter>) as ShapesOf<Params>;
}

/** The most weights that an error lists. */
const LONGEST_LIST = 30;

/** The tree of shapes that belongs to a tree of parameters. */
export type ShapesOf<Params> = Params extends tf.Tensor ? Shape : { [Name in keyof Params]: ShapesOf<Params[Name]> };

type ShapeTree = Shape | readonly ShapeTree[] | { readonly [name: string]: ShapeTree };

/** Flattens a tree of shapes to a record by dotted name, in the tree's order. */
export function flattenShapes(shapes: unknown): Record<string, Shape> {
  const flat: Record<string, Shape> = Object.create(null);
  mapShapes(shapes as ShapeTree, '', (shape, name) => {
    flat[name] = shape;
  });
  return flat;
}

/** Counts the numbers that a tree of parameters, or a tree of shapes, holds. */
export function countParameters(tree: unknown): number {
  if (tree instanceof tf.Tensor) return tree.size;
  if (isShape(tree)) return tree.reduce((product, size) => product * size, 1);
  if (typeof tree !== 'object' || tree === null) return 0;
  return Object.values(tree).reduce((sum, child) => sum + countParameters(child), 0);
}

/**
 * Builds a parameter tree from the tensors of a file. Names and shapes must fit exactly; a model never starts from
 * noise where a weight was expected.
 *
 * @param shapes - what the model expects, such as `backboneShapes(config)`
 * @param tensors - by dotted name, of any number type
 * @param source - what they come from, for the message
 * @returns float32 tensors in the tree's form
 * @throws Error before a backend is loaded; Error listing the missing, unexpected and wrongly shaped weights, at most 30 of
 *   them, with the number of all; where no name fits, Error naming what the file holds instead;
 *   Error naming weights that are not finite
 */
export function loadParameters<Params>(
  shapes: ShapesOf<Params>,
  tensors: Readonly<Record<string, HostTensor>>,
  source?: string,
): Params {
  assertBackend('loadParameters');
  const expected = flattenShapes(shapes);
  const problems = listProblems(expected, tensors);
  if (problems.length > 0) throw new InputError('loadParameters', misfit(expected, tensors, problems, source));
  return buildTree(shapes, (shape, name) => {
    const values = toFloat32(tensors[name]);
    if (!areFinite(values)) throw new InputError('loadParameters', notFinite(Object.keys(expected), tensors, source));
    return tf.tensor(values, [...shape], 'float32');
  });
}

/** Whether an array holds neither NaN nor an infinity: times 0 they are NaN, and all other numbers 0. */
function areFinite(values: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * 0;
  return sum === 0;
}

function notFinite(
  names: readonly string[],
  tensors: Readonly<Record<string, HostTensor>>,
  source = 'the file',
): string {
  const bad = names.filter((name) => !areFinite(toFloat32(tensors[name])));
  const listed = bad.length > 3 ? `${bad.slice(0, 3).join(', ')}, …` : bad.join(', ');
  return (
    `${bad.length} of ${names.length} weights of ${source} hold NaN or infinite numbers (${listed}): ` +
    'the training that wrote them had diverged; take an earlier checkpoint'
  );
}

/**
 * Copies a parameter tree to the host, by dotted name: what `loadParameters` reads and a file holds. The values are for
 * reading: on a backend that computes in JavaScript they are those of the tensors.
 *
 * @param dtype - number type of the copies; default `F32`
 */
export async function readParameters(params: object, dtype: DType = 'F32'): Promise<Record<string, HostTensor>> {
  const tensors: Record<string, HostTensor> = Object.create(null);
  const named = Object.entries(flattenTree(params as Tree<tf.Tensor>));
  const read = await Promise.all(named.map(([, tensor]) => tensor.data())); // all copies are on their way at once
  for (const [index, [name, tensor]] of named.entries()) {
    const isStored = dtype === 'F32' && tensor.dtype === 'float32';
    const data = isStored
      ? (read[index] as Float32Array<ArrayBuffer>)
      : fromFloat32(Float32Array.from(read[index]), dtype);
    tensors[name] = { dtype, shape: [...tensor.shape], data };
  }
  return tensors;
}

function buildTree<Params>(shapes: ShapesOf<Params>, make: (shape: Shape, name: string) => tf.Tensor): Params {
  return tf.tidy(() => mapShapes(shapes as ShapeTree, '', make) as tf.TensorContainer) as Params;
}

function misfit(
  expected: Record<string, Shape>,
  tensors: Readonly<Record<string, HostTensor>>,
  problems: string[],
  source: string | undefined,
): string {
  const [names, others] = [Object.keys(expected), Object.keys(tensors)];
  if (others.length > 0 && !names.some((name) => Object.hasOwn(tensors, name)))
    return (
      `${source ?? 'the file'} has none of the model's ${names.length} weights, such as ${names[0]}, ` +
      `but ${others.length} others, such as ${others[0]}`
    );
  const listed = problems.slice(0, LONGEST_LIST);
  const rest = problems.length - listed.length;
  const named = `${problems.length} weights${source === undefined ? '' : ` of ${source}`}`;
  return [`${named} do not fit the model:`, ...listed, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n  ');
}

function listProblems(expected: Record<string, Shape>, tensors: Readonly<Record<string, HostTensor>>): string[] {
  const text = (shape: Shape) => `[${shape.join(', ')}]`;
  const problems: string[] = [];
  for (const [name, shape] of Object.entries(expected)) {
    if (!Object.hasOwn(tensors, name)) problems.push(`missing ${name} ${text(shape)}`);
    else if (text(tensors[name].shape) !== text(shape))
      problems.push(`wrong shape ${name}: must be ${text(shape)}, got ${text(tensors[name].shape)}`);
  }
  for (const name of Object.keys(tensors)) {
    if (!Object.hasOwn(expected, name)) problems.push(`unexpected ${name} ${text(tensors[name].shape)}`);
  }
  return problems;
}

function mapShapes(node: ShapeTree, name: string, visit: (shape: Shape, name: string) => unknown): unknown {
  if (isShape(node)) return visit(node, name);
  const inner = (key: string | number) => (name === '' ? `${key}` : `${name}.${key}`);
  if (Array.isArray(node)) return node.map((child, index) => mapShapes(child, inner(index), visit));
  return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, mapShapes(child, inner(key), visit)]));
}

/** A list of numbers is a shape; an empty list is an empty list of layers, for no parameter is a scalar. */
function isShape(node: unknown): node is Shape {
  return Array.isArray(node) && typeof node[0] === 'number';
}
