import * as tf from '@tensorflow/tfjs-core';
import { threefry, threefryStream } from './threefry.js';

// The kernels behind the random numbers, computed on the host. A backend with a device of its own (@tb/xla) registers
// kernels of the same names that give the same bits.
//
//   ThreefryBits     {key} {shape}                  → int32: element i of a key's row is word 0 of the counter (0, i)
//   ThreefryUniform  {key} {shape}                  → float32 in [0, 1): (bits >>> 8) · 2^-24
//   ThreefryFoldIn   {key, data}                    → a key of the same shape for each element of data, [...data, ...key]:
//                                                     both words of the counter (1, data)
//   DropoutMask      {key} {shape, keepProbability} → float32: 1 / keepProbability with that probability, else 0;
//                                                     which elements is the backend's choice
//
// A key is int32 [2], or [N, 2] for one key per row of a `shape` that starts with N. `data` is int32, [] or [M].

type HostArray = Int32Array | Float32Array;
type Inputs = { key: Int32Array; data: Int32Array };
type Attributes = { shape: number[]; keepProbability: number };

const kernels: Record<string, (inputs: Inputs, attributes: Attributes) => HostArray> = {
  ThreefryBits: ({ key }, { shape }) => bits(key, shape),
  ThreefryUniform: ({ key }, { shape }) => mapWords(bits(key, shape), toUnit),
  ThreefryFoldIn: ({ key, data }) => foldIn(key, data),
  DropoutMask: ({ key }, { shape, keepProbability }) => dropoutMask(key, shape, keepProbability),
};

/** Registers the random kernels for a backend whose tensors the host reads and writes at once. */
export function registerRandomKernels(backendName: string): void {
  for (const [kernelName, compute] of Object.entries(kernels)) {
    if (tf.getKernel(kernelName, backendName)) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, backend, attrs }) => {
        const storage = backend as tf.KernelBackend;
        const read = (tensor?: tf.TensorInfo) => tensor && (storage.readSync(tensor.dataId) as Int32Array);
        const { key, data } = inputs as Record<string, tf.TensorInfo>;
        const attributes = { shape: [...(data?.shape ?? []), ...key.shape], ...attrs } as unknown as Attributes;
        const values = compute({ key: read(key), data: read(data) } as Inputs, attributes);
        const dtype = values instanceof Int32Array ? 'int32' : 'float32';
        return { dataId: storage.write(values, attributes.shape, dtype), shape: attributes.shape, dtype };
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
