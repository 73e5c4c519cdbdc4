/** The arguments of a compiled function: their tensors in order, and what decides which program fits. */
import * as tf from '@tensorflow/tfjs-core';
import type { XlaBackend } from './backend.js';
import type { ArraySpec } from './executor.js';

/** One tensor of an argument; its path begins with the argument's number (`0.blocks.1.weight`). */
export type Leaf = { tensor: tf.Tensor; path: string; dtype: tf.DataType; spec: ArraySpec };

export type Call = { key: string; leaves: Leaf[] };

/**
 * Reads the arguments of one call.
 *
 * @param fixed - numbers of the arguments that are plain values
 */
export function readArguments(backend: XlaBackend, args: readonly unknown[], fixed: readonly number[]): Call {
  const leaves: Leaf[] = [];
  const forms = args.map((arg, index) => {
    if (fixed.includes(index)) return JSON.stringify(arg, distinct);
    const read = readTree(backend, arg, index);
    for (const leaf of read.leaves) leaves.push(leaf);
    return read.form;
  });
  return { key: forms.join(), leaves };
}

/** What a tree was when it was read: nodes with their children, leaves included. */
type Reading = { form: string; leaves: Leaf[]; nodes: { node: Children; children: [string, unknown][] }[] };
type Children = Record<string, unknown>;

const readings = new WeakMap<XlaBackend, WeakMap<object, Map<number, Reading>>>();

/**
 * A model's parameters are hundreds of tensors, and sampling passes the same ones hundreds of times: a tree that still
 * holds the same tensors in the same places is not described again.
 */
function readTree(backend: XlaBackend, arg: unknown, index: number): Reading {
  if (!isNode(arg)) return describe(backend, arg, index);
  const known = readings.get(backend) ?? new WeakMap<object, Map<number, Reading>>();
  readings.set(backend, known);
  const ofObject = known.get(arg) ?? new Map<number, Reading>();
  known.set(arg, ofObject);
  const last = ofObject.get(index);
  if (last && isUnchanged(last)) return last;
  const reading = describe(backend, arg, index);
  ofObject.set(index, reading);
  return reading;
}

function isUnchanged({ nodes }: Reading): boolean {
  return nodes.every(({ node, children }) => {
    let count = 0;
    for (const name in node) if (Object.hasOwn(node, name)) count++;
    return count === children.length && children.every(([name, child]) => node[name] === child);
  });
}

function describe(backend: XlaBackend, arg: unknown, index: number): Reading {
  const leaves: Leaf[] = [];
  const nodes: Reading['nodes'] = [];
  const walk = (value: unknown, path: string): unknown => {
    if (value instanceof tf.Tensor) {
      const spec = backend.nodeOf(value).type;
      leaves.push({ tensor: value, path, dtype: value.dtype, spec });
      return `${value.dtype} ${spec.type}[${value.shape}]`;
    }
    if (!isNode(value)) return value;
    const children = Object.entries(value);
    nodes.push({ node: value, children });
    const forms = children.map(([name, child]) => [name, walk(child, `${path}.${name}`)] as const);
    return Array.isArray(value) ? forms.map(([, form]) => form) : Object.fromEntries(forms);
  };
  const form = JSON.stringify(walk(arg, `${index}`), distinct);
  // Objects with the same names in another order are the same argument.
  leaves.sort((a, b) => (a.path < b.path ? -1 : 1));
  return { form, leaves, nodes };
}

/** A node of a tree: an array or a plain object. */
function isNode(value: unknown): value is Children {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

const identities = new WeakMap<object, string>();
let lastIdentity = 0;

/** What JSON would lose or confuse, and names in their own order. */
function distinct(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `bigint ${value}`;
  if (value === undefined) return 'undefined';
  if (typeof value === 'number' && !Number.isFinite(value)) return `number ${value}`;
  const isOpaque = typeof value === 'function' || value instanceof Map || value instanceof Set;
  if (!isOpaque) return isRecord(value) ? Object.fromEntries(Object.entries(value).sort(byName)) : value;
  if (!identities.has(value)) {
    lastIdentity += 1;
    identities.set(value, `object ${lastIdentity}`);
  }
  return identities.get(value);
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
