/**
 * Layouts of the PJRT C API's structs, as far as we call it: field names and types in the order of `pjrt_c_api.h` at API
 * version 0.90 (OpenXLA), without the two fields that every struct begins with (`struct_size`, `extension_start`).
 *
 * Sizes only ever grow at the end, and a plugin rejects a struct shorter than the one it was built with; `call.ts`
 * then repeats the call with zeros behind.
 */
import { type Address, addressOf, allocate, type Block } from './memory.js';

export type FieldType = 'pointer' | 'int64' | 'int32' | 'float' | 'bool';
type Fields = Readonly<Record<string, FieldType>>;

export type Struct<F extends Fields = Fields> = {
  readonly name: string;
  /** End of the last field, as PJRT counts it: without padding behind. */
  readonly size: number;
  readonly fields: F;
  readonly offsets: Readonly<Record<keyof F, number>>;
};

/** A value of each field: pointers and 64-bit integers are bigints. */
export type Values<F extends Fields> = {
  [K in keyof F]: F[K] extends 'pointer' | 'int64' ? bigint : F[K] extends 'bool' ? boolean : number;
};
/** The same for writing: plain numbers are taken too, and memory is given as its address. */
export type Inputs<F extends Fields> = {
  [K in keyof F]?: F[K] extends 'pointer' ? Address | Memory : F[K] extends 'bool' ? boolean : number | bigint;
};

type Memory = Block | ArrayBufferView | ArrayBuffer;

const BYTES: Record<FieldType, number> = { pointer: 8, int64: 8, int32: 4, float: 4, bool: 1 };

function struct<const F extends Fields>(name: string, fields: F): Struct<F> {
  const offsets: Record<string, number> = {};
  let end = 16;
  for (const [field, type] of Object.entries(fields)) {
    const bytes = BYTES[type];
    const start = Math.ceil(end / bytes) * bytes;
    offsets[field] = start;
    end = start + bytes;
  }
  return { name, size: end, fields, offsets: offsets as Record<keyof F, number> };
}

/** A function of the API: its place in `PJRT_Api`'s table, and the struct that it takes. */
export type ApiFunction<F extends Fields = Fields> = Struct<F> & { readonly index: number };

function apiFunction<const F extends Fields>(index: number, name: string, fields: F): ApiFunction<F> {
  return { ...struct(`PJRT_${name}_Args`, fields), index };
}

const OPTIONAL_STATISTICS = [
  'num_allocs',
  'largest_alloc_size',
  'bytes_limit',
  'bytes_reserved',
  'peak_bytes_reserved',
  'bytes_reservable_limit',
  'largest_free_block_bytes',
  'pool_bytes',
  'peak_pool_bytes',
] as const;
type OptionalStatistic = (typeof OPTIONAL_STATISTICS)[number];

const optionalStatistics = Object.fromEntries(
  OPTIONAL_STATISTICS.flatMap((name) => [
    [name, 'int64'],
    [`${name}_is_set`, 'bool'],
  ]),
) as Record<OptionalStatistic, 'int64'> & Record<`${OptionalStatistic}_is_set`, 'bool'>;

/** `PJRT_Api` begins with struct_size, extension_start, and a version struct of 24 bytes; then come the functions. */
export const API_VERSION_OFFSET = 32;
export const API_FUNCTIONS_OFFSET = 40;

export const Functions = {
  Error_Destroy: apiFunction(0, 'Error_Destroy', { error: 'pointer' }),
  Error_Message: apiFunction(1, 'Error_Message', { error: 'pointer', message: 'pointer', message_size: 'int64' }),
  Error_GetCode: apiFunction(2, 'Error_GetCode', { error: 'pointer', code: 'int32' }),
  Plugin_Initialize: apiFunction(3, 'Plugin_Initialize', {}),
  Plugin_Attributes: apiFunction(4, 'Plugin_Attributes', { attributes: 'pointer', num_attributes: 'int64' }),
  Event_Destroy: apiFunction(5, 'Event_Destroy', { event: 'pointer' }),
  Event_Await: apiFunction(8, 'Event_Await', { event: 'pointer' }),
  Client_Create: apiFunction(10, 'Client_Create', {
    create_options: 'pointer',
    num_options: 'int64',
    kv_get_callback: 'pointer',
    kv_get_user_arg: 'pointer',
    kv_put_callback: 'pointer',
    kv_put_user_arg: 'pointer',
    client: 'pointer',
    kv_try_get_callback: 'pointer',
    kv_try_get_user_arg: 'pointer',
  }),
  Client_Destroy: apiFunction(11, 'Client_Destroy', { client: 'pointer' }),
  Client_PlatformName: apiFunction(12, 'Client_PlatformName', {
    client: 'pointer',
    platform_name: 'pointer',
    platform_name_size: 'int64',
  }),
  Client_PlatformVersion: apiFunction(14, 'Client_PlatformVersion', {
    client: 'pointer',
    platform_version: 'pointer',
    platform_version_size: 'int64',
  }),
  Client_Devices: apiFunction(15, 'Client_Devices', { client: 'pointer', devices: 'pointer', num_devices: 'int64' }),
  Client_AddressableDevices: apiFunction(16, 'Client_AddressableDevices', {
    client: 'pointer',
    addressable_devices: 'pointer',
    num_addressable_devices: 'int64',
  }),
  Client_Compile: apiFunction(20, 'Client_Compile', {
    client: 'pointer',
    program: 'pointer',
    compile_options: 'pointer',
    compile_options_size: 'int64',
    executable: 'pointer',
  }),
  Client_BufferFromHostBuffer: apiFunction(22, 'Client_BufferFromHostBuffer', {
    client: 'pointer',
    data: 'pointer',
    type: 'int32',
    dims: 'pointer',
    num_dims: 'int64',
    byte_strides: 'pointer',
    num_byte_strides: 'int64',
    host_buffer_semantics: 'int32',
    device: 'pointer',
    memory: 'pointer',
    device_layout: 'pointer',
    done_with_host_buffer: 'pointer',
    buffer: 'pointer',
  }),
  DeviceDescription_Id: apiFunction(23, 'DeviceDescription_Id', { device_description: 'pointer', id: 'int32' }),
  DeviceDescription_ProcessIndex: apiFunction(24, 'DeviceDescription_ProcessIndex', {
    device_description: 'pointer',
    process_index: 'int32',
  }),
  DeviceDescription_Attributes: apiFunction(25, 'DeviceDescription_Attributes', {
    device_description: 'pointer',
    num_attributes: 'int64',
    attributes: 'pointer',
  }),
  DeviceDescription_Kind: apiFunction(26, 'DeviceDescription_Kind', {
    device_description: 'pointer',
    device_kind: 'pointer',
    device_kind_size: 'int64',
  }),
  Device_GetDescription: apiFunction(29, 'Device_GetDescription', { device: 'pointer', device_description: 'pointer' }),
  Device_MemoryStats: apiFunction(34, 'Device_MemoryStats', {
    device: 'pointer',
    bytes_in_use: 'int64',
    peak_bytes_in_use: 'int64',
    peak_bytes_in_use_is_set: 'bool',
    ...optionalStatistics,
  }),
  Executable_Destroy: apiFunction(40, 'Executable_Destroy', { executable: 'pointer' }),
  Executable_NumOutputs: apiFunction(44, 'Executable_NumOutputs', { executable: 'pointer', num_outputs: 'int64' }),
  Executable_Serialize: apiFunction(49, 'Executable_Serialize', {
    executable: 'pointer',
    serialized_bytes: 'pointer',
    serialized_bytes_size: 'int64',
    serialized_executable: 'pointer',
    serialized_executable_deleter: 'pointer',
  }),
  LoadedExecutable_Destroy: apiFunction(50, 'LoadedExecutable_Destroy', { executable: 'pointer' }),
  LoadedExecutable_GetExecutable: apiFunction(51, 'LoadedExecutable_GetExecutable', {
    loaded_executable: 'pointer',
    executable: 'pointer',
  }),
  LoadedExecutable_Execute: apiFunction(55, 'LoadedExecutable_Execute', {
    executable: 'pointer',
    options: 'pointer',
    argument_lists: 'pointer',
    num_devices: 'int64',
    num_args: 'int64',
    output_lists: 'pointer',
    device_complete_events: 'pointer',
    execute_device: 'pointer',
  }),
  Executable_DeserializeAndLoad: apiFunction(56, 'Executable_DeserializeAndLoad', {
    client: 'pointer',
    serialized_executable: 'pointer',
    serialized_executable_size: 'int64',
    loaded_executable: 'pointer',
    overridden_serialized_compile_options: 'pointer',
    overridden_serialized_compile_options_size: 'int64',
  }),
  Buffer_Destroy: apiFunction(58, 'Buffer_Destroy', { buffer: 'pointer' }),
  Buffer_ToHostBuffer: apiFunction(70, 'Buffer_ToHostBuffer', {
    src: 'pointer',
    host_layout: 'pointer',
    dst: 'pointer',
    dst_size: 'int64',
    event: 'pointer',
  }),
  Executable_GetCompiledMemoryStats: apiFunction(96, 'Executable_GetCompiledMemoryStats', {
    executable: 'pointer',
    generated_code_size_in_bytes: 'int64',
    argument_size_in_bytes: 'int64',
    output_size_in_bytes: 'int64',
    alias_size_in_bytes: 'int64',
    temp_size_in_bytes: 'int64',
    host_generated_code_size_in_bytes: 'int64',
    host_argument_size_in_bytes: 'int64',
    host_output_size_in_bytes: 'int64',
    host_alias_size_in_bytes: 'int64',
    host_temp_size_in_bytes: 'int64',
    peak_memory_in_bytes: 'int64',
    total_size_in_bytes: 'int64',
  }),
} as const;

/** Structs that other structs point to, and those that PJRT hands to callbacks. */
export const Structs = {
  Program: struct('PJRT_Program', { code: 'pointer', code_size: 'int64', format: 'pointer', format_size: 'int64' }),
  NamedValue: struct('PJRT_NamedValue', {
    name: 'pointer',
    name_size: 'int64',
    type: 'int32',
    value: 'int64', // a union: 8 bytes whose meaning `type` defines
    value_size: 'int64',
  }),
  ExecuteOptions: struct('PJRT_ExecuteOptions', {
    send_callbacks: 'pointer',
    recv_callbacks: 'pointer',
    num_send_ops: 'int64',
    num_recv_ops: 'int64',
    launch_id: 'int32',
    non_donatable_input_indices: 'pointer',
    num_non_donatable_input_indices: 'int64',
    context: 'pointer',
    call_location: 'pointer',
    num_tasks: 'int64',
    task_ids: 'pointer',
    incarnation_ids: 'pointer',
  }),
  KeyValueGet: struct('PJRT_KeyValueGetCallback_Args', {
    key: 'pointer',
    key_size: 'int64',
    timeout_in_ms: 'int32',
    callback_error: 'pointer',
    user_arg: 'pointer',
    value: 'pointer',
    value_size: 'int64',
    value_deleter_callback: 'pointer',
  }),
  KeyValueTryGet: struct('PJRT_KeyValueTryGetCallback_Args', {
    key: 'pointer',
    key_size: 'int64',
    callback_error: 'pointer',
    user_arg: 'pointer',
    value: 'pointer',
    value_size: 'int64',
    value_deleter_callback: 'pointer',
  }),
  KeyValuePut: struct('PJRT_KeyValuePutCallback_Args', {
    key: 'pointer',
    key_size: 'int64',
    value: 'pointer',
    value_size: 'int64',
    callback_error: 'pointer',
    user_arg: 'pointer',
  }),
} as const;

/** `PJRT_NamedValue_Type`: which of a named value's forms is meant. */
export const NamedValueType = { string: 0, int64: 1, int64List: 2, float: 3, bool: 4 } as const;

/** `PJRT_HostBufferSemantics`: how long the plugin may read the host's memory. */
export const HostBufferSemantics = {
  /** The plugin copies (or stages) the data before the call returns. */
  immutableOnlyDuringCall: 0,
} as const;

/** Zeros kept behind every struct, so that a newer plugin's longer struct needs no new memory. */
export const STRUCT_SLACK = 512;

/** A zeroed struct whose first field is its size. */
export function allocateStruct(layout: Struct): Block {
  const block = allocate(layout.size + STRUCT_SLACK);
  block.view.setBigUint64(0, BigInt(layout.size), true);
  return block;
}

export function writeFields<F extends Fields>(view: DataView, layout: Struct<F>, values: Inputs<F>): void {
  for (const [name, value] of Object.entries(values) as [string, Memory | number | bigint | boolean][]) {
    const offset = layout.offsets[name]!;
    const type = layout.fields[name]!;
    if (typeof value === 'object') {
      view.setBigUint64(offset, 'address' in value ? value.address : addressOf(value), true);
    } else if (type === 'int32') view.setInt32(offset, Number(value), true);
    else if (type === 'float') view.setFloat32(offset, Number(value), true);
    else if (type === 'bool') view.setUint8(offset, value ? 1 : 0);
    else view.setBigInt64(offset, BigInt(value), true);
  }
}

export function readFields<F extends Fields>(view: DataView, layout: Struct<F>): Values<F> {
  const values: Record<string, number | bigint | boolean> = {};
  for (const [name, type] of Object.entries(layout.fields)) {
    const offset = layout.offsets[name]!;
    if (type === 'int32') values[name] = view.getInt32(offset, true);
    else if (type === 'float') values[name] = view.getFloat32(offset, true);
    else if (type === 'bool') values[name] = view.getUint8(offset) !== 0;
    else values[name] = view.getBigInt64(offset, true);
  }
  return values as Values<F>;
}
