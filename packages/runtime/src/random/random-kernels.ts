import * as tf from '@tensorflow/tfjs-core';
import { threefry, threefryStream } from './threefry.js';

// The kernels behind the random numbers, computed on the host. A backend that computes on a device (@tb/xla)
// registers kernels of the same names that give the same bits.
//
//   ThreefryBits     {key} {shape}                  → int32: element i of a key's row is word 0 of the counter (0, i)
//   ThreefryUniform  {key} {shape}                  → float32 in [0, 1): (bits >>> 8) · 2^-24
//   ThreefryFoldIn   {key, data}                    → a key of the same shape for each element of data, [...data, ...key]:
//                                                     both words of the counter (1, data)
//   DropoutMask      {key} {shape, keepProbability} → float32: 1 / keepProbability with that probability, else 0;
//                                                     which elements is the backend's choice
//
// A key is int32 [2], or [N, 2] for one key per row of a `shape` that starts with N. `data` is int32, [] or [count].

type HostArray = Int32Array | Float32Array;
type Inputs = { key: Int32Array; data: Int32Array };
type Attributes = { shape: number[]; keepProbability: number };

type Kernel = { dtype: 'int32' | 'float32'; compute(inputs: Inputs, attributes: Attributes): HostArray };

export const randomKernels: Record<string, Kernel> = {
  ThreefryBits: { dtype: 'int32', compute: ({ key }, { shape }) => bits(key, shape) },
  ThreefryUniform: { dtype: 'float32', compute: ({ key }, { shape }) => mapWords(bits(key, shape), toUnit) },
  ThreefryFoldIn: { dtype: 'int32', compute: ({ key, data }) => foldIn(key, data) },
  DropoutMask: {
    dtype: 'float32',
    compute: ({ key }, { shape, keepProbability }) => dropoutMask(key, shape, keepProbability),
  },
};

/** Computes a tensor from the values of others on the host. */
export type HostComputation = (
  backend: tf.KernelBackend,
  inputs: tf.TensorInfo[],
  output: { shape: number[]; dtype: 'int32' | 'float32' },
  compute: (values: tf.TypedArray[]) => HostArray,
) => tf.TensorInfo;

const readAndWrite: HostComputation = (backend, inputs, { shape, dtype }, compute) => {
  const values = compute(inputs.map(({ dataId }) => backend.readSync(dataId) as tf.TypedArray));
  return { dataId: backend.write(values, shape, dtype), shape, dtype };
};

/**
 * Registers the random kernels for a backend whose tensors the host reads and writes at once.
 *
 * @param computeOnHost - for a backend that must be told of such work
 */
export function registerRandomKernels(backendName: string, computeOnHost = readAndWrite): void {
  for (const [kernelName, { dtype, compute }] of Object.entries(randomKernels)) {
    if (tf.getKernel(kernelName, backendName)) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, backend, attrs }) => {
        const { key, data } = inputs as Record<string, tf.TensorInfo>;
        const attributes = { shape: [...(data?.shape ?? []), ...key.shape], ...attrs } as unknown as Attributes;
        const { shape } = attributes;
        return computeOnHost(backend as tf.KernelBackend, data ? [key, data] : [key], { shape, dtype }, (values) => {
          const [keys, numbers] = values as Int32Array[];
          return compute({ key: keys, data: numbers }, attributes);
        });
      },
    });
  }
}

/** 24 random bits as a float32 in [0, 1), the most that float32 holds at even spacing. */
export function toUnit(word: number): number {
  return (word >>> 8) / 0x1000000;
}

function bits(key: Int32Array, shape: readonly number[]): Int32Array {
  const words = new Int32Array(tf.util.sizeFromShape([...shape]));
  forEachRow(key, words, (row, key0, key1) => threefryStream(key0, key1, row));
  return words;
}

/** Four elements a block, 16 bits each: masks are most of the random numbers of a training step. */
function dropoutMask(key: Int32Array, shape: readonly number[], keepProbability: number): Float32Array {
  const mask = new Float32Array(tf.util.sizeFromShape([...shape]));
  const threshold = Math.round(keepProbability * 0x10000);
  const kept = 1 / keepProbability;
  forEachRow(key, mask, (row, key0, key1) => {
    const blocks = Math.ceil(row.length / 4);
    const [first, second] = [new Int32Array(blocks), new Int32Array(blocks)];
    threefryStream(key0, key1, first, second);
    for (let block = 0, i = 0; block < blocks; block++) {
      for (const word of [first[block], second[block]]) {
        row[i++] = (word & 0xffff) < threshold ? kept : 0; // writes past the end of a typed array do nothing
        row[i++] = word >>> 16 < threshold ? kept : 0;
      }
    }
  });
  return mask;
}

function forEachRow<T extends HostArray>(
  key: Int32Array,
  values: T,
  fill: (row: T, key0: number, key1: number) => void,
): void {
  const rows = key.length / 2;
  const length = values.length / rows;
  for (let row = 0; row < rows; row++) {
    fill(values.subarray(row * length, (row + 1) * length) as T, key[2 * row], key[2 * row + 1]);
  }
}

function foldIn(key: Int32Array, data: Int32Array): Int32Array {
  const folded = new Int32Array(data.length * key.length);
  data.forEach((number, copy) => {
    for (let i = 0; i < key.length; i += 2) folded.set(threefry(key[i], key[i + 1], 1, number), copy * key.length + i);
  });
  return folded;
}

function mapWords(words: Int32Array, fn: (word: number) => number): Float32Array {
  const values = new Float32Array(words.length);
  for (let i = 0; i < words.length; i++) values[i] = fn(words[i]);
  return values;
}
