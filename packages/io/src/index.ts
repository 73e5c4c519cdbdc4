export { type FileContent, writeFileAtomic } from './atomic-file.js';
export { type ByteInput, type ByteSource, memorySource } from './byte-source.js';
export { FileFormatError } from './file-format-error.js';
export { fromFloat32, toFloat32 } from './float-conversion.js';
export type { DType, HostTensor, TypedArray } from './host-tensor.js';
export type { SafetensorsHeader, TensorEntry } from './safetensors-header.js';
export { openSafetensors, readSafetensors, type SafetensorsFile } from './safetensors-reader.js';
export { type SafetensorsWriteOptions, writeSafetensors } from './safetensors-writer.js';
export { fileSha256 } from './sha256.js';
