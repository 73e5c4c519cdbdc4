import * as tf from '@tensorflow/tfjs-core';
import { isNode } from '../tree.js';

// The arguments of a compiled function: their tensors in order, and a key that decides which program fits.

/** One tensor of an argument; its path begins with the argument's number (`0.blocks.1.weight`). */
export type ArgumentTensor = { tensor: tf.Tensor; path: string };

/** The arguments of one call. Calls of a function with equal keys differ only in the values of their tensors. */
export type Call = { key: string; leaves: ArgumentTensor[] };

/**
 * A function that reads the arguments of one call.
 *
 * @param fixed - numbers of the arguments that are plain values
 */
export type ArgumentReader = (args: readonly unknown[], fixed: readonly number[]) => Call;

/**
 * Makes a reader for one backend.
 *
 * @param kindOf - what else of a tensor, besides dtype and shape, decides which program fits; it must never change
 */
export function createArgumentReader(kindOf: (tensor: tf.Tensor) => string = () => ''): ArgumentReader {
  const readings = new WeakMap<object, Map<number, Reading>>();
  /**
   * A model's parameters are hundreds of tensors, and sampling passes the same ones hundreds of times: a tree that still
   * holds the same tensors in the same places is not described again.
   */
  const readTree = (arg: unknown, index: number): Reading => {
    if (!isNode(arg)) return describe(arg, index, kindOf);
    const ofObject = readings.get(arg) ?? new Map<number, Reading>();
    readings.set(arg, ofObject);
    const last = ofObject.get(index);
    if (last && isUnchanged(last)) return last;
    const reading = describe(arg, index, kindOf);
    ofObject.set(index, reading);
    return reading;
  };
  return (args, fixed) => {
    const leaves: ArgumentTensor[] = [];
    const forms = args.map((arg, index) => {
      if (fixed.includes(index)) return JSON.stringify(arg, distinct);
      const read = readTree(arg, index);
      for (const leaf of read.leaves) leaves.push(leaf);
      return read.form;
    });
    return { key: forms.join(), leaves };
  };
}

/** A tree at the time when it was read: its nodes with their children, leaves included. */
type Reading = { form: string; leaves: ArgumentTensor[]; nodes: { node: Children; children: [string, unknown][] }[] };
type Children = Record<string, unknown>;

function isUnchanged({ nodes }: Reading): boolean {
  return nodes.every(({ node, children }) => {
    let count = 0;
    for (const name in node) if (Object.hasOwn(node, name)) count++;
    return count === children.length && children.every(([name, child]) => node[name] === child);
  });
}

function describe(arg: unknown, index: number, kindOf: (tensor: tf.Tensor) => string): Reading {
  const leaves: ArgumentTensor[] = [];
  const nodes: Reading['nodes'] = [];
  const walk = (value: unknown, path: string): unknown => {
    if (value instanceof tf.Tensor) {
      leaves.push({ tensor: value, path });
      return `${value.dtype} ${kindOf(value)}[${value.shape}]`;
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

const identities = new WeakMap<object, string>();
let lastIdentity = 0;

/** Makes distinct what JSON would lose or confuse, and sorts names. */
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
