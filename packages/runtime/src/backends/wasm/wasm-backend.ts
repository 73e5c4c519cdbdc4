import type * as tf from '@tensorflow/tfjs-core';

/**
 * What the kernels of this folder use of tfjs's BackendWasm: tensors lie in one WebAssembly memory, and its C++
 * kernels find them by number in a table of (offset, size).
 */
export type WasmBackend = tf.KernelBackend & {
  dataIdNextNumber: number;
  dataIdMap: { get(dataId: tf.DataId): { id: number; memoryOffset: number } };
  wasm: {
    cwrap(name: string, returns: null, argumentTypes: readonly string[]): (...args: unknown[]) => void;
    /** What the WebAssembly module exports, its memory included. */
    asm: Record<string, unknown>;
    HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    tfjs: { registerTensor(id: number, size: number, memoryOffset: number): void; disposeData(id: number): void };
  };
  makeOutput(shape: readonly number[], dtype: tf.DataType): tf.TensorInfo;
  typedArrayFromHeap(tensor: tf.TensorInfo): Float32Array | Int32Array | Uint8Array;
};

/**
 * Calls `use` with the numbers of `count` float32 tensors that are consecutive parts of `tensor`, without a copy; a
 * part of the whole size is every part, so that one matrix can meet a batch.
 */
export function forEachPart(
  backend: WasmBackend,
  tensors: tf.TensorInfo[],
  sizes: number[],
  count: number,
  use: (ids: number[]) => void,
): void {
  const starts = tensors.map(({ dataId }) => backend.dataIdMap.get(dataId).memoryOffset);
  const isWhole = tensors.map(({ shape }, index) => shape.reduce((a, b) => a * b, 1) === sizes[index]);
  const { registerTensor, disposeData } = backend.wasm.tfjs;
  for (let part = 0; part < count; part++) {
    const ids = tensors.map(({ dataId }, index) => {
      if (isWhole[index]) return backend.dataIdMap.get(dataId).id;
      const id = backend.dataIdNextNumber++;
      registerTensor(id, sizes[index], starts[index] + part * sizes[index] * Float32Array.BYTES_PER_ELEMENT);
      return id;
    });
    use(ids);
    ids.forEach((id, index) => {
      if (!isWhole[index]) disposeData(id);
    });
  }
}

/** Where a tensor's values are in the WebAssembly memory, in bytes. */
export function pointerOf(backend: WasmBackend, { dataId }: tf.TensorInfo): number {
  return backend.dataIdMap.get(dataId).memoryOffset >>> 0;
}
