import { bytesPerElement, type DType } from './host-tensor.js';

/** A type of elements: by the name that safetensors gives it, where there is one, and its width in bytes where it is known. */
type ElementType = { name: string; width: number | undefined };

const readable = (dtype: DType): ElementType => ({ name: dtype, width: bytesPerElement(dtype) });

/** By the name of the storage class in the module `torch`. */
const storageTypes: Record<string, ElementType> = {
  DoubleStorage: readable('F64'),
  FloatStorage: readable('F32'),
  HalfStorage: readable('F16'),
  BFloat16Storage: readable('BF16'),
  LongStorage: readable('I64'),
  IntStorage: readable('I32'),
  ShortStorage: readable('I16'),
  CharStorage: readable('I8'),
  ByteStorage: readable('U8'),
  BoolStorage: readable('BOOL'),
  ComplexDoubleStorage: { name: 'C128', width: 16 },
  ComplexFloatStorage: { name: 'C64', width: 8 },
  QInt8Storage: { name: 'qint8', width: 1 },
  QUInt8Storage: { name: 'quint8', width: 1 },
  QInt32Storage: { name: 'qint32', width: 4 },
  QUInt4x2Storage: { name: 'quint4x2', width: 1 },
  QUInt2x4Storage: { name: 'quint2x4', width: 1 },
};

/** By the name of the dtype in the module `torch`. */
const dtypes: Record<string, string> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
  complex128: 'C128',
  complex64: 'C64',
  complex32: 'C32',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
  float8_e8m0fnu: 'F8_E8M0',
  float4_e2m1fn_x2: 'F4',
};

/** The elements of a storage class, `torch.FloatStorage`; `undefined` for bytes without a type. */
export function elementsOfStorage(className: string): ElementType | undefined {
  if (className === 'torch.storage.UntypedStorage' || className === 'torch.UntypedStorage') return undefined;
  const name = className.slice(className.lastIndexOf('.') + 1);
  if (Object.hasOwn(storageTypes, name)) return storageTypes[name];
  return { name, width: undefined };
}

/** The name here of a dtype, `torch.float32`; dtypes without one keep PyTorch's. */
export function nameOfDType(torchName: string): string {
  const name = torchName.replace(/^torch\./, '');
  return Object.hasOwn(dtypes, name) ? dtypes[name]! : name;
}

/** Why tensors of a dtype cannot be read, and what to do, as the end of a sentence; undefined for those that can. */
export function adviceForDType(name: string): string {
  if (/^C\d+$/.test(name))
    return `holds complex numbers (${name}), which cannot be read: save torch.view_as_real(tensor)`;
  if (/^q/.test(name)) return `is quantized (${name}) and cannot be read: save tensor.dequantize()`;
  return `holds elements of type ${name}, which cannot be read: save it as tensor.float()`;
}
