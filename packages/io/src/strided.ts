import { bytesPerElement, type DType, elementCount, type HostTensor, type TypedArray, viewAs } from './host-tensor.js';

/** Where the elements of a tensor lie in a one-dimensional store; strides count elements. */
export type StridedLayout = { shape: number[]; strides: number[] };

/** How many elements of the store lie between the first and the last element of the tensor, both included. */
export function extentOf({ shape, strides }: StridedLayout): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((extent, length, axis) => extent + (length - 1) * strides[axis]!, 1);
}

function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

export function columnMajorStrides(shape: readonly number[]): number[] {
  return rowMajorStrides([...shape].reverse()).reverse();
}

/** The tensor with its elements in row-major order; `store` begins at the tensor's first element. */
export function toRowMajor(dtype: DType, store: TypedArray, layout: StridedLayout): HostTensor {
  const shape = [...layout.shape];
  if (isRowMajor(layout)) return { dtype, shape, data: store };
  const count = elementCount(shape)!;
  const data = viewAs(dtype, new Uint8Array(count * bytesPerElement(dtype)));
  const index = new Array<number>(shape.length).fill(0);
  let position = 0; // in the store, of the element at `index`
  for (let i = 0; i < count; i++) {
    data[i] = store[position]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += layout.strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      position -= shape[axis]! * layout.strides[axis]!;
      index[axis] = 0;
    }
  }
  return { dtype, shape, data };
}

/** Strides of axes of length 0 or 1 mean nothing. */
function isRowMajor({ shape, strides }: StridedLayout): boolean {
  const expected = rowMajorStrides(shape);
  return shape.includes(0) || shape.every((length, axis) => length === 1 || strides[axis] === expected[axis]);
}
