import { mapTree, type TensorTree, treeLeaves } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import type { ArraySpec, DeviceBuffer, ElementType, Executor, HostArray } from './executor.js';
import { activeTrace, isPending, makeLeaf, type Node, release, sweepUnused } from './graph/node.js';
import { constant, denseConstant } from './hlo/literal.js';
import { reshape } from './hlo/shape.js';
import { type LazyRunner, lazyRunnerOf } from './lazy.js';
import { copyTo } from './placement.js';
import { float32OfBfloat16 } from './precision.js';
import { userFrame } from './user-frame.js';

/** After this many pending operations all of them run, so that a long program without reads does not grow for ever. */
const PENDING_LIMIT = 400;
/** Splat host data above this many elements is made on the device instead of copied. */
const SPLAT_LIMIT = 1024;
/** Host data above this many elements inside `jit` is worth a warning: it becomes part of the program. */
const BAKED_LIMIT = 65536;

/** The value of a dataId. */
type Entry = { node: Node | null; dtype: tf.DataType; strings?: Uint8Array[]; refCount: number };

const storageOf: Record<string, ElementType> = { float32: 'f32', int32: 'i32', bool: 'i1' };

/** The device type that a TensorFlow.js type starts as. */
export function elementTypeOf(dtype: tf.DataType): ElementType {
  const type = storageOf[dtype];
  if (!type) throw new Error(`xla backend: dtype must be float32, int32 or bool, got ${dtype}`);
  return type;
}

/** The TensorFlow.js backend: dataIds are handles on graph nodes, whose values are computed when they are read. */
export class XlaBackend extends tf.KernelBackend {
  readonly lazy: LazyRunner;
  readonly free = (buffer: DeviceBuffer): void => this.executor.free(buffer);
  private readonly data: tf.DataStorage<Entry>;
  private readonly live = new Set<Node>(); // nodes with a handle
  private operations = 0;

  constructor(readonly executor: Executor) {
    super();
    this.data = new tf.DataStorage<Entry>(this, tf.engine());
    this.lazy = lazyRunnerOf(executor);
  }

  /** The graph node behind a tensor, in the tensor's shape: tensors of several shapes may share a dataId. */
  nodeOf({ dataId, shape }: tf.TensorInfo): Node {
    const { node, dtype } = this.data.get(dataId);
    if (!node) throw new Error(`xla backend: dtype must be float32, int32 or bool, got ${dtype}`);
    return reshape(node, shape);
  }

  /** True when no other tensor has the same memory. */
  isSoleOwner({ dataId }: tf.TensorInfo): boolean {
    const { node, refCount } = this.data.get(dataId);
    return refCount === 1 && node?.references === 1;
  }

  /** A new handle on a node. */
  hold(node: Node, dtype: tf.DataType): tf.DataId {
    const dataId = {};
    this.data.set(dataId, { node, dtype, refCount: 1 });
    this.retain(node);
    return dataId;
  }

  /** The tree with its values on a device; see `BackendSupport` of @tb/runtime. */
  toDevice<T extends TensorTree>(tree: T, device: number): T {
    const nodes = treeLeaves(tree).map((tensor) => this.nodeOf(tensor));
    this.lazy.compute(nodes); // all at once
    let next = 0;
    return mapTree((tensor) => {
      const node = nodes[next++];
      if ((node.buffer?.device ?? 0) === device) return tf.clone(tensor);
      const leaf = makeLeaf(node.type, { buffer: copyTo(this.executor, node, device) });
      const { shape, dtype } = tensor;
      return tf.engine().makeTensorFromTensorInfo({ dataId: this.hold(leaf, dtype), shape, dtype });
    }, tree);
  }

  /** Forgets what nothing uses, and runs everything that is pending once there is much of it. Kernels call it when done. */
  afterKernel(): void {
    if (activeTrace()) return;
    sweepUnused(this.free);
    this.operations += 1;
    if (this.operations < PENDING_LIMIT) return;
    this.flush();
  }

  /** Brings every pending value to the device. */
  flush(): void {
    this.operations = 0;
    this.lazy.compute([...this.live].filter(isPending));
  }

  private retain(node: Node): void {
    if (node.trace) return;
    node.references += 1;
    node.handles += 1;
    this.live.add(node);
  }

  private letGo(node: Node): void {
    if (node.trace) return;
    node.handles -= 1;
    if (node.handles === 0) this.live.delete(node);
    release(node, this.free);
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    const dataId = {};
    this.put(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(
    dataId: tf.DataId,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    this.put(dataId, values, shape, dtype, refCount);
  }

  private put(dataId: tf.DataId, values: tf.BackendValues, shape: number[], dtype: tf.DataType, refCount: number) {
    if (dtype === 'string') {
      this.data.set(dataId, { node: null, dtype, strings: values as Uint8Array[], refCount });
      return;
    }
    const spec: ArraySpec = { type: elementTypeOf(dtype), shape };
    const node = this.nodeOfValues(toHostArray(values, spec.type), spec);
    this.data.set(dataId, { node, dtype, refCount });
    this.retain(node);
  }

  private nodeOfValues(host: HostArray, spec: ArraySpec): Node {
    const isTraced = activeTrace() !== null;
    if ((isTraced || host.length > SPLAT_LIMIT) && isSplat(host)) {
      return constant(Number(host[0]), spec.type, spec.shape);
    }
    if (!isTraced) return makeLeaf(spec, { host });
    if (host.length > BAKED_LIMIT) {
      console.warn(
        `jit: ${host.length} numbers from the host become part of the program${userFrame()}; pass them as an argument`,
      );
    }
    return denseConstant(host, spec);
  }

  override readSync(dataId: tf.DataId): tf.BackendValues {
    const entry = this.data.get(dataId);
    if (!entry.node) return entry.strings!;
    const node = this.readable(entry.node);
    if (node.host) return node.host as tf.BackendValues;
    this.lazy.compute([node]);
    return fromHostArray(this.executor.downloadSync(node.buffer!), entry.dtype);
  }

  override async read(dataId: tf.DataId): Promise<tf.BackendValues> {
    const entry = this.data.get(dataId);
    if (!entry.node) return entry.strings!;
    const node = this.readable(entry.node);
    if (node.host) return node.host as tf.BackendValues;
    this.lazy.compute([node]);
    return fromHostArray(await this.executor.download(node.buffer!), entry.dtype);
  }

  private readable(node: Node): Node {
    if (!node.trace) return node;
    throw new Error(
      `jit: a tensor must not be read inside a traced function${userFrame()}; return it and read the result, or compute with tensors`,
    );
  }

  override disposeData(dataId: tf.DataId, force = false): boolean {
    if (!this.data.has(dataId)) return true;
    const entry = this.data.get(dataId);
    entry.refCount -= 1;
    if (!force && entry.refCount > 0) return false;
    this.data.delete(dataId);
    if (entry.node) this.letGo(entry.node);
    return true;
  }

  override refCount(dataId: tf.DataId): number {
    return this.data.has(dataId) ? this.data.get(dataId).refCount : 0;
  }

  override incRef(dataId: tf.DataId): void {
    this.data.get(dataId).refCount += 1;
  }

  override numDataIds(): number {
    return this.data.numDataIds();
  }

  override memory(): { unreliable: boolean; bytesInUse: number; peakBytesInUse: number } {
    const { bytesInUse, peakBytesInUse } = this.executor.memory();
    return { unreliable: false, bytesInUse, peakBytesInUse };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override async time(body: () => void): Promise<tf.BackendTimingInfo> {
    const start = performance.now();
    body();
    if (!activeTrace()) this.flush();
    return { kernelMs: performance.now() - start };
  }

  override timerAvailable(): boolean {
    return true;
  }

  /** Gives the tensors' memory back. The executor stays open: it belongs to who made it. */
  override dispose(): void {
    for (const { buffer } of this.live) if (buffer) this.free(buffer);
    this.live.clear();
  }
}

/** Whether all values are the same. Compares bits, so that −0 differs from 0 and NaN equals NaN. */
function isSplat(host: HostArray): boolean {
  const { buffer, byteOffset, length } = host;
  const words = host instanceof Float32Array ? new Uint32Array(buffer, byteOffset, length) : host;
  for (let i = 1; i < length; i++) if (words[i] !== words[0]) return false;
  return length > 0;
}

function toHostArray(values: tf.BackendValues, type: ElementType): HostArray {
  if (type === 'f32') return values instanceof Float32Array ? values : Float32Array.from(values as never);
  if (type === 'i32') return values instanceof Int32Array ? values : Int32Array.from(values as never);
  return values instanceof Uint8Array ? values : Uint8Array.from(values as never);
}

function fromHostArray(host: HostArray, dtype: tf.DataType): tf.BackendValues {
  if (dtype === 'float32' && host instanceof Uint16Array) return float32OfBfloat16(host);
  return host as tf.BackendValues;
}
