import { toFloat32 } from './float-conversion.js';
import { bytesPerElement, elementCount, type HostTensor } from './host-tensor.js';
import { type NumpyElement, parseNumpyDType, tensorFromNumpy } from './numpy-dtype.js';
import { PickledGlobal, PickledObject, type PickleValue, Refusal, requireLengths } from './pickle-values.js';

/** A pickled `numpy.dtype`. */
export class NumpyDType {
  private bigEndian = false;

  constructor(readonly code: string) {}

  /** (version, byte order, …) */
  setState(state: PickleValue): void {
    this.bigEndian = Array.isArray(state) && state[1] === '>';
  }

  /** The element type; undefined for text, objects, records, complex numbers and dates. */
  element(): NumpyElement | undefined {
    const element = parseNumpyDType(this.code);
    return element && { ...element, bigEndian: element.bigEndian || this.bigEndian };
  }

  /** The text of a `numpy.str_`, in UTF-32 without the zeros at its end. */
  decode(bytes: Uint8Array): string {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let text = '';
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      const code = view.getUint32(at, !this.bigEndian);
      if (code > 0x10ffff) throw new Refusal('NumPy text with a character that does not exist');
      text += String.fromCodePoint(code);
    }
    return text.replace(/\0+$/, '');
  }
}

/** A pickled `numpy.ndarray`: an empty shell first, filled by its state. */
export class NumpyArray {
  /** A placeholder for arrays of text, objects, records, complex numbers and dates. */
  value: HostTensor | PickledObject = new PickledObject('numpy.ndarray', []);

  /** (version, shape, dtype, Fortran order, bytes) */
  setState(state: PickleValue): void {
    const [, shape, dtype, fortranOrder, bytes] = Array.isArray(state) ? state : [];
    this.value = makeArray(bytes, dtype, shape, fortranOrder === true);
  }
}

function makeArray(
  bytes: PickleValue | undefined,
  dtype: PickleValue | undefined,
  shape: PickleValue | undefined,
  fortranOrder: boolean,
): HostTensor | PickledObject {
  const lengths = requireLengths('shape of a NumPy array', shape);
  const element = dtype instanceof NumpyDType ? dtype.element() : undefined;
  // Python 2 wrote bytes as text.
  const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
  if (element === undefined || !(data instanceof Uint8Array)) {
    const array = new PickledObject('numpy.ndarray', [lengths, dtype instanceof NumpyDType ? dtype.code : null]);
    array.state = bytes ?? null;
    return array;
  }
  if (elementCount(lengths) !== data.length / bytesPerElement(element.dtype)) {
    throw new Refusal(`NumPy array of shape [${lengths}] and dtype ${element.dtype} does not fit ${data.length} bytes`);
  }
  return tensorFromNumpy(element, lengths, fortranOrder, new Uint8Array(data));
}

/** (dtype, bytes): numbers and text as they are, bytes as a Uint8Array, the rest as placeholders. */
function scalar([dtype, bytes]: PickleValue[]): PickleValue {
  if (dtype instanceof NumpyDType && bytes instanceof Uint8Array) {
    if (/^[<>=|]?U\d+$/.test(dtype.code)) return dtype.decode(bytes);
    if (/^[<>=|]?S\d+$/.test(dtype.code)) return bytes;
  }
  const value = makeArray(bytes, dtype, [], false);
  if (value instanceof PickledObject) return new PickledObject('numpy.core.multiarray.scalar', [value]);
  if (value.dtype === 'BOOL') return value.data[0] !== 0;
  if (value.dtype === 'F16') return toFloat32(value)[0]!;
  const number = value.data[0]!;
  return Number.isSafeInteger(Number(number)) ? Number(number) : number;
}

function reconstruct(args: PickleValue[]): NumpyArray | PickledObject {
  const [type] = args;
  if (type instanceof PickledGlobal && type.name === 'numpy.ndarray') return new NumpyArray();
  return new PickledObject(type instanceof PickledGlobal ? type.name : 'numpy.ndarray', [...args]);
}

/** Protocol 5: (bytes, dtype, shape, 'C' or 'F') */
function fromBuffer([bytes, dtype, shape, order]: PickleValue[]): NumpyArray {
  const array = new NumpyArray();
  array.value = makeArray(bytes, dtype, shape, order === 'F');
  return array;
}

/** NumPy 2 renamed its `core` to `_core`. */
export const numpyGlobals: Record<string, (args: PickleValue[]) => PickleValue> = {
  'numpy.dtype': (args) => {
    const [code] = args;
    return typeof code === 'string' ? new NumpyDType(code) : new PickledObject('numpy.dtype', [...args]);
  },
  ...Object.fromEntries(
    ['numpy.core', 'numpy._core'].flatMap((module) => [
      [`${module}.multiarray.scalar`, scalar],
      [`${module}.multiarray._reconstruct`, reconstruct],
      [`${module}.numeric._frombuffer`, fromBuffer],
    ]),
  ),
};
