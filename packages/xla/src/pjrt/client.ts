/** A PJRT client: the devices of one plugin, and the memory on them. */
import type { DeviceMemory } from '../executor.js';
import { PjrtError } from './errors.js';
import { allocate, type Block, blockOf, readPointers, readText } from './memory.js';
import { type Plugin, readNamedValues } from './plugin.js';
import type { Rendezvous } from './rendezvous.js';
import { Functions, type Inputs, NamedValueType, Structs, writeFields } from './structs.js';

export type ClientOptions = {
  /** Fraction of each GPU's memory that the allocator may take; default 0.9. */
  memoryFraction?: number;
  /** Take that memory at once, which avoids fragmentation; default true. */
  preallocate?: boolean;
  allocator?: 'default' | 'bfc' | 'cuda_async' | 'platform';
  /** Local numbers of the GPUs to use; default all. */
  visibleDevices?: number[];
  /** Several processes, each with its GPUs, as one machine. */
  rendezvous?: Rendezvous;
  /** Further options by the plugin's own names. */
  extra?: Record<string, NamedValue>;
};

export type NamedValue = string | boolean | number | bigint | { float: number } | readonly number[];

export type Device = {
  readonly address: bigint;
  readonly id: number;
  readonly kind: string;
  /** Such as `compute_capability` and `core_count`; empty where the plugin reports none. */
  readonly attributes: Plugin['attributes'];
};

export type Client = {
  readonly plugin: Plugin;
  readonly address: bigint;
  readonly platform: string;
  readonly platformVersion: string;
  /** Devices of this process. */
  readonly devices: readonly Device[];
  /** Ids of all devices, by the index of the process that has them. */
  readonly deviceIds: readonly (readonly number[])[];
  /** The group whose devices these are, if there are several processes. */
  readonly processes?: Rendezvous;
  memory(device: number): DeviceMemory;
  destroy(): void;
};

function writeNamedValue(view: DataView, name: string, value: NamedValue, keep: unknown[]): void {
  const nameBlock = blockOf(name);
  keep.push(nameBlock);
  const common = { name: nameBlock.address, name_size: nameBlock.length };
  const write = (rest: Inputs<(typeof Structs.NamedValue)['fields']>) =>
    writeFields(view, Structs.NamedValue, { ...common, ...rest });
  view.setBigUint64(0, BigInt(Structs.NamedValue.size), true);
  if (typeof value === 'string') {
    const text = blockOf(value);
    keep.push(text);
    write({ type: NamedValueType.string, value: text.address, value_size: text.length });
  } else if (typeof value === 'boolean') {
    write({ type: NamedValueType.bool, value: value ? 1 : 0, value_size: 1 });
  } else if (typeof value === 'number' || typeof value === 'bigint') {
    write({ type: NamedValueType.int64, value, value_size: 1 });
  } else if ('float' in value) {
    write({ type: NamedValueType.float, value_size: 1 });
    view.setFloat32(Structs.NamedValue.offsets.value, value.float, true);
  } else {
    const list = allocate(value.length * 8);
    keep.push(list);
    value.forEach((item, index) => {
      list.view.setBigInt64(index * 8, BigInt(item), true);
    });
    write({ type: NamedValueType.int64List, value: list.address, value_size: value.length });
  }
}

/** The options as PJRT's array of named values. `keep` holds what they point to. */
function encodeNamedValues(values: Record<string, NamedValue>): {
  block: Block;
  count: number;
  keep: unknown[];
} {
  const entries = Object.entries(values);
  const stride = Structs.NamedValue.size;
  const block = allocate(entries.length * stride);
  const keep: unknown[] = [];
  entries.forEach(([name, value], index) => {
    writeNamedValue(new DataView(block.view.buffer, index * stride, stride), name, value, keep);
  });
  return { block, count: entries.length, keep };
}

/** GPU plugins know these names; others reject options that they do not know, so they get only what the caller asked. */
function clientOptions(plugin: Plugin, options: ClientOptions): Record<string, NamedValue> {
  const gpu = /cuda|rocm|gpu/.test(plugin.location.path);
  const fraction = options.memoryFraction ?? (gpu ? 0.9 : undefined);
  const preallocate = options.preallocate ?? (gpu ? true : undefined);
  return {
    ...(fraction !== undefined && { memory_fraction: { float: fraction } }),
    ...(preallocate !== undefined && { preallocate }),
    ...(options.allocator && { allocator: options.allocator }),
    ...(options.visibleDevices && { visible_devices: options.visibleDevices }),
    ...(options.rendezvous && { node_id: options.rendezvous.index, num_nodes: options.rendezvous.count }),
    ...options.extra,
  };
}

function readDevice({ api }: Plugin, address: bigint): Device {
  const { device_description } = api.call(Functions.Device_GetDescription, { device: address });
  const { id } = api.call(Functions.DeviceDescription_Id, { device_description });
  const kind = api.call(Functions.DeviceDescription_Kind, { device_description });
  const attributes = readDeviceAttributes(api, device_description);
  return { address, id, kind: readText(kind.device_kind, Number(kind.device_kind_size)), attributes };
}

function readDeviceAttributes(api: Plugin['api'], device_description: bigint): Device['attributes'] {
  try {
    const list = api.call(Functions.DeviceDescription_Attributes, { device_description });
    return readNamedValues(list.attributes, Number(list.num_attributes));
  } catch (error) {
    if (error instanceof PjrtError) return {};
    throw error;
  }
}

function readDevices(plugin: Plugin, client: bigint): Device[] {
  const local = plugin.api.call(Functions.Client_AddressableDevices, { client });
  const addresses = readPointers(local.addressable_devices, Number(local.num_addressable_devices));
  return addresses.map((address) => readDevice(plugin, address)).sort((a, b) => a.id - b.id);
}

/**
 * The ids of all devices by process. Ids are not consecutive over processes: each process must read them from its client.
 *
 * @throws Error when the processes do not have equally many
 */
function readDeviceIds({ api }: Plugin, client: bigint, { count }: Rendezvous): number[][] {
  const all = api.call(Functions.Client_Devices, { client });
  const ids = Array.from({ length: count }, (): number[] => []);
  for (const device of readPointers(all.devices, Number(all.num_devices))) {
    const { device_description } = api.call(Functions.Device_GetDescription, { device });
    const { process_index } = api.call(Functions.DeviceDescription_ProcessIndex, { device_description });
    ids[process_index]?.push(api.call(Functions.DeviceDescription_Id, { device_description }).id);
  }
  const unequal = ids.findIndex(({ length }) => length !== ids[0]!.length);
  if (unequal > 0) {
    const [first, other] = [ids[0]!.length, ids[unequal]!.length];
    throw new Error(
      `createClient: every process must have as many devices as process 0 (${first}), process ${unequal} has ${other}`,
    );
  }
  return ids.map((own) => own.sort((a, b) => a - b));
}

function readMemory({ api }: Plugin, device: Device): DeviceMemory {
  const stats = api.call(Functions.Device_MemoryStats, { device: device.address });
  const inUse = Number(stats.bytes_in_use);
  return {
    bytesInUse: inUse,
    peakBytesInUse: stats.peak_bytes_in_use_is_set ? Number(stats.peak_bytes_in_use) : inUse,
    bytesLimit: stats.bytes_limit_is_set ? Number(stats.bytes_limit) : Number.POSITIVE_INFINITY,
  };
}

/**
 * Opens the plugin's devices. With a rendezvous this waits until all processes have come.
 * @throws PjrtError with the plugin's reason, such as a missing driver
 */
export function createClient(plugin: Plugin, options: ClientOptions = {}): Client {
  const { api } = plugin;
  const named = encodeNamedValues(clientOptions(plugin, options));
  const { client } = api.call(Functions.Client_Create, {
    create_options: named.block,
    num_options: named.count,
    ...options.rendezvous?.callbacks,
  });
  named.keep.length = 0; // until here C read what these point to
  const name = api.call(Functions.Client_PlatformName, { client });
  const version = api.call(Functions.Client_PlatformVersion, { client });
  const devices = readDevices(plugin, client);
  const processes = options.rendezvous && options.rendezvous.count > 1 ? options.rendezvous : undefined;
  const deviceIds = processes ? readDeviceIds(plugin, client, processes) : [devices.map(({ id }) => id)];
  return {
    plugin,
    address: client,
    platform: readText(name.platform_name, Number(name.platform_name_size)),
    platformVersion: readText(version.platform_version, Number(version.platform_version_size)),
    devices,
    deviceIds,
    ...(processes && { processes }),
    memory: (device) => readMemory(plugin, devices[device]!),
    destroy: () => api.destroy(Functions.Client_Destroy, client),
  };
}
