import { bytesPerElement, elementCount, type HostTensor } from './host-tensor.js';
import { type NumpyElement, parseNumpyDType, tensorFromNumpy } from './numpy-dtype.js';
import { PickledGlobal, type PickleValue, Refusal } from './pickle-values.js';

/** A pickled `numpy.dtype`. */
export class NumpyDType {
  private bigEndian = false;

  constructor(private readonly code: string) {}

  /** (version, byte order, …) */
  setState(state: PickleValue): void {
    this.bigEndian = Array.isArray(state) && state[1] === '>';
  }

  element(): NumpyElement {
    const element = parseNumpyDType(this.code);
    if (element === undefined) throw new Refusal(`unsupported NumPy dtype ${JSON.stringify(this.code)}`);
    return { ...element, bigEndian: element.bigEndian || this.bigEndian };
  }
}

/** A pickled `numpy.ndarray`: an empty shell first, filled by its state. */
export class NumpyArray {
  tensor: HostTensor | undefined;

  /** (version, shape, dtype, Fortran order, bytes) */
  setState(state: PickleValue): void {
    const [, shape, dtype, fortranOrder, bytes] = Array.isArray(state) ? state : [];
    this.tensor = makeTensor(bytes, dtype, shape, fortranOrder === true);
  }
}

function makeTensor(
  bytes: PickleValue | undefined,
  dtype: PickleValue | undefined,
  shape: PickleValue | undefined,
  fortranOrder: boolean,
): HostTensor {
  if (!(dtype instanceof NumpyDType)) throw new Refusal('NumPy array without a dtype');
  if (!(bytes instanceof Uint8Array)) throw new Refusal('NumPy array without bytes (of objects, perhaps)');
  const lengths = Array.isArray(shape) ? (shape as number[]) : [Number.NaN];
  const element = dtype.element();
  if (elementCount(lengths) !== bytes.length / bytesPerElement(element.dtype)) {
    throw new Refusal(
      `NumPy array of shape [${lengths}] and dtype ${element.dtype} does not fit ${bytes.length} bytes`,
    );
  }
  return tensorFromNumpy(element, [...lengths], fortranOrder, new Uint8Array(bytes));
}

function scalar([dtype, bytes]: PickleValue[]): PickleValue {
  const tensor = makeTensor(bytes, dtype, [], false);
  if (tensor.dtype === 'BOOL') return tensor.data[0] !== 0;
  if (tensor.dtype === 'F16') throw new Refusal('float16 scalars are not supported');
  const value = tensor.data[0]!;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function reconstruct([type]: PickleValue[]): NumpyArray {
  if (type instanceof PickledGlobal && type.name === 'numpy.ndarray') return new NumpyArray();
  throw new Refusal('unsupported subclass of numpy.ndarray');
}

/** Protocol 5: (bytes, dtype, shape, 'C' or 'F') */
function fromBuffer([bytes, dtype, shape, order]: PickleValue[]): NumpyArray {
  const array = new NumpyArray();
  array.tensor = makeTensor(bytes, dtype, shape, order === 'F');
  return array;
}

/** NumPy 2 renamed its `core` to `_core`. */
export const numpyGlobals: Record<string, (args: PickleValue[]) => PickleValue> = {
  'numpy.dtype': ([code]) => {
    if (typeof code !== 'string') throw new Refusal('unsupported NumPy dtype');
    return new NumpyDType(code);
  },
  ...Object.fromEntries(
    ['numpy.core', 'numpy._core'].flatMap((module) => [
      [`${module}.multiarray.scalar`, scalar],
      [`${module}.multiarray._reconstruct`, reconstruct],
      [`${module}.numeric._frombuffer`, fromBuffer],
    ]),
  ),
};
