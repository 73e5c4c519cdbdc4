/** Arrays on PJRT devices: uploads, downloads, and their handles. */
import {
  type ArraySpec,
  assertHostArray,
  byteSize,
  type DeviceBuffer,
  type ElementType,
  type HostArray,
  hostArray,
} from '../executor.js';
import type { Client } from './client.js';
import { allocate } from './memory.js';
import { Functions, HostBufferSemantics } from './structs.js';

/** `PJRT_Buffer_Type` of each element type. */
const BUFFER_TYPES: Record<ElementType, number> = {
  i1: 1,
  i8: 2,
  i32: 4,
  i64: 5,
  ui8: 6,
  ui16: 7,
  ui32: 8,
  ui64: 9,
  f16: 10,
  f32: 11,
  f64: 12,
  bf16: 13,
};

export type PjrtBuffer = {
  readonly spec: ArraySpec;
  readonly device: number;
  /** 0n once freed or donated. */
  address: bigint;
};

export type BufferPool = {
  /** Takes a handle that PJRT made. */
  adopt(address: bigint, spec: ArraySpec, device: number): PjrtBuffer;
  upload(data: HostArray, spec: ArraySpec, device: number): PjrtBuffer;
  download(buffer: DeviceBuffer): Promise<HostArray>;
  downloadSync(buffer: DeviceBuffer): HostArray;
  free(buffer: DeviceBuffer): void;
  freeAll(): void;
  readonly size: number;
};

/** @throws Error when the buffer was freed or donated */
export function liveAddress(caller: string, buffer: DeviceBuffer): bigint {
  const { address } = buffer as PjrtBuffer;
  if (address === 0n) throw new Error(`${caller}: the buffer was freed or donated`);
  return address;
}

/** Dimensions as PJRT's int64 array. */
function dimensions(shape: readonly number[]) {
  const block = allocate(shape.length * 8);
  shape.forEach((size, axis) => {
    block.view.setBigInt64(axis * 8, BigInt(size), true);
  });
  return block;
}

type Downloads = Pick<BufferPool, 'download' | 'downloadSync'>;

function createDownloads({ plugin: { api } }: Client): Downloads {
  // Downloads wait one after another, so that any number of them holds a single thread of libuv's pool.
  let lastWait: Promise<unknown> = Promise.resolve();

  /** Enqueues the copy straight into the array that the caller gets. */
  function start(caller: string, buffer: DeviceBuffer): { target: ArrayBuffer; event: bigint } {
    const src = liveAddress(caller, buffer);
    const target = new ArrayBuffer(byteSize(buffer.spec));
    if (target.byteLength === 0) return { target, event: 0n };
    const { event } = api.call(Functions.Buffer_ToHostBuffer, { src, dst: target, dst_size: target.byteLength });
    return { target, event };
  }

  return {
    downloadSync(buffer) {
      const { target, event } = start('downloadSync', buffer);
      if (event === 0n) return hostArray(buffer.spec, target);
      try {
        api.call(Functions.Event_Await, { event });
      } finally {
        api.destroy(Functions.Event_Destroy, event);
      }
      return hostArray(buffer.spec, target);
    },
    async download(buffer) {
      const { target, event } = start('download', buffer);
      if (event === 0n) return hostArray(buffer.spec, target);
      const wait = lastWait.then(() => api.callAsync(Functions.Event_Await, { event }));
      lastWait = wait.catch(() => undefined);
      try {
        await wait;
      } finally {
        api.destroy(Functions.Event_Destroy, event);
      }
      return hostArray(buffer.spec, target);
    },
  };
}

/** @returns the address of a new buffer */
function copyToDevice(client: Client, data: HostArray, spec: ArraySpec, device: number): bigint {
  assertHostArray('upload', data, spec);
  if (!client.devices[device]) {
    throw new Error(`upload: device must be below ${client.devices.length}, got ${device}`);
  }
  const { api } = client.plugin;
  const { buffer, done_with_host_buffer } = api.call(Functions.Client_BufferFromHostBuffer, {
    client: client.address,
    data,
    type: BUFFER_TYPES[spec.type],
    dims: dimensions(spec.shape),
    num_dims: spec.shape.length,
    host_buffer_semantics: HostBufferSemantics.immutableOnlyDuringCall,
    device: client.devices[device].address,
  });
  api.destroy(Functions.Event_Destroy, done_with_host_buffer);
  return buffer;
}

export function createBufferPool(client: Client): BufferPool {
  const { api } = client.plugin;
  const live = new Set<PjrtBuffer>();

  function adopt(address: bigint, spec: ArraySpec, device: number): PjrtBuffer {
    const buffer = { spec, device, address };
    live.add(buffer);
    return buffer;
  }

  function free(buffer: DeviceBuffer): void {
    const own = buffer as PjrtBuffer;
    if (own.address === 0n) return;
    const { address } = own;
    own.address = 0n;
    live.delete(own);
    api.destroy(Functions.Buffer_Destroy, address);
  }

  return {
    adopt,
    upload: (data, spec, device) => adopt(copyToDevice(client, data, spec, device), spec, device),
    ...createDownloads(client),
    free,
    freeAll: () => [...live].forEach(free),
    get size() {
      return live.size;
    },
  };
}
