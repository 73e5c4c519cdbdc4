export { type FileContent, writeFileAtomic } from './atomic-file.js';
export { type ByteInput, type ByteSource, memorySource, nameOf } from './byte-source.js';
export {
  type Checkpoint,
  type CheckpointOptions,
  openCheckpoint,
  readCheckpoint,
  readStateDict,
} from './checkpoint.js';
export type { CheckpointValue } from './checkpoint-values.js';
export { outliveReaders } from './closed-pipe.js';
export { assertContentHash, withContentHash } from './content-hash.js';
export { FileFormatError } from './file-format-error.js';
export { fileSystemError, fileSystemReason } from './file-system-reason.js';
export { fromFloat32, toFloat32 } from './float-conversion.js';
export { FolderInUseError, identifyJob, type JobIdentity, lockFolder } from './folder-lock.js';
export type { DType, HostTensor, TypedArray } from './host-tensor.js';
export { InputError, reasonOf } from './input-error.js';
export { type JsonShape, jsonShape, parseJson, readJson } from './json-file.js';
export { makeFolder, makeFolders } from './make-folder.js';
export {
  MissingPartError,
  type NetworkWeights,
  type OpenWeightsOptions,
  openWeights,
} from './network-weights.js';
export { type NpyArray, type NpyReadOptions, readNpy, writeNpy } from './npy.js';
export { type NpzFile, type NpzWriteOptions, openNpz, readNpz, writeNpz } from './npz.js';
export { CheckpointTensor, PickledGlobal, PickledObject } from './pickle-values.js';
export { printable, quoted } from './printable.js';
export type { SafetensorsHeader, TensorEntry } from './safetensors-header.js';
export { isSafetensors, openSafetensors, readSafetensors, type SafetensorsFile } from './safetensors-reader.js';
export { type SafetensorsWriteOptions, writeSafetensors } from './safetensors-writer.js';
export { fileSha256 } from './sha256.js';
export {
  createStatusLine,
  excludeFromSpeed,
  formatDuration,
  formatRate,
  isOtherLineShown,
  printMessage,
  type StatusLine,
  type Terminal,
  workingTime,
} from './status-line.js';
export { removeLeftovers } from './temporary-files.js';
export { workAhead } from './work-ahead.js';
