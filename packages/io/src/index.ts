export { type ByteInput, type ByteSource, memorySource } from './byte-source.js';
export { FileFormatError } from './file-format-error.js';
export type { DType, HostTensor, TypedArray } from './host-tensor.js';
export type { SafetensorsHeader, TensorEntry } from './safetensors-header.js';
export { openSafetensors, readSafetensors, type SafetensorsFile } from './safetensors-reader.js';
