/**
 * A PJRT plugin of the test's own, whose C functions are JavaScript callbacks: it checks what the binding passes, counts
 * the objects that it has handed out, and can be told to be newer, older or broken. Its "compiler" knows one program:
 * result k of a replica is its argument k (modulo their number) plus one, in float32.
 */
import { koffi } from '../src/pjrt/koffi.js';
import {
  type Address,
  allocate,
  type Block,
  blockOf,
  readBytes,
  readPointers,
  readText,
  viewMemory,
} from '../src/pjrt/memory.js';
import {
  API_FUNCTIONS_OFFSET,
  API_VERSION_OFFSET,
  type ApiFunction,
  Functions,
  type Inputs,
  NamedValueType,
  readFields,
  STRUCT_SLACK,
  Structs,
  type Values,
  writeFields,
} from '../src/pjrt/structs.js';

type Status = { code: number; message: string };
type Buffer = { kind: 'buffer'; bytes: Uint8Array; device: Address };
type Program = { kind: 'program'; text: string; results: number };
type Executable = { kind: 'executable'; of: Program };
type Item = Buffer | Program | Executable | { kind: 'client' | 'event' | 'serialized' };

export type StandInOptions = {
  /** Of this process. */
  devices?: number;
  /** Devices of every process of a group, of which this one is `index`. Their ids are not consecutive. */
  group?: { index: number; devices: readonly number[] };
  apiMinor?: number;
  /** Sizes that a newer plugin asks for, by struct name. */
  structSizes?: Record<string, number>;
  /** Functions that the table leaves empty. */
  without?: (keyof typeof Functions)[];
};

export type StandIn = {
  readonly table: Address;
  /** Names and values of the client's options. */
  readonly options: Record<string, unknown>;
  /** How many objects of each kind the plugin still holds. */
  live(): Record<string, number>;
  compilations: number;
  /** The next call of this function fails so. */
  failNext(name: keyof typeof Functions, status: Status): void;
  lastOptions: Uint8Array;
  close(): void;
};

const functionType = koffi.proto('uint64_t', ['uint64_t']);
const deleterType = koffi.proto('void', ['uint64_t']);

export function createStandIn({
  group,
  devices = group?.devices[group.index] ?? 2,
  apiMinor = 115,
  structSizes = {},
  without = [],
}: StandInOptions = {}): StandIn {
  const objects = new Map<Address, Item>();
  const errors = new Map<Address, Status & { block: Block }>();
  const kept: Block[] = [];
  const callbacks: bigint[] = [];
  const failures = new Map<string, Status>();
  let nextHandle = 0x1000n;

  function keep(block: Block): Address {
    kept.push(block);
    return block.address;
  }
  function hold(item: Item): Address {
    nextHandle += 16n;
    objects.set(nextHandle, item);
    return nextHandle;
  }
  function get<K extends 'buffer' | 'program' | 'executable'>(address: Address, kind: K): Extract<Item, { kind: K }> {
    const item = objects.get(address);
    if (item?.kind !== kind) throw { code: 3, message: `no ${kind} at ${address}` } satisfies Status;
    return item as Extract<Item, { kind: K }>;
  }
  function drop(address: Address, kind: Item['kind']): undefined {
    if (objects.get(address)?.kind !== kind) throw { code: 3, message: `no ${kind} at ${address}` } satisfies Status;
    objects.delete(address);
    return undefined;
  }
  function checkSize(name: string, address: Address, ours: number): void {
    const expected = structSizes[name] ?? ours;
    const got = Number(viewMemory(address, 8).getBigUint64(0, true));
    if (got < expected) {
      const message = `Unexpected ${name} size: expected ${expected}, got ${got}. Check installed software versions.`;
      throw { code: 3, message } satisfies Status;
    }
    const behind = readBytes(address + BigInt(ours), expected - ours);
    if (behind.some((byte) => byte !== 0))
      throw { code: 13, message: `${name} is not zero behind its end` } satisfies Status;
  }
  function makeError(status: Status): Address {
    nextHandle += 16n;
    errors.set(nextHandle, { ...status, block: blockOf(status.message) });
    return nextHandle;
  }

  const standIn: StandIn = {
    table: 0n,
    options: {},
    compilations: 0,
    lastOptions: new Uint8Array(),
    live() {
      const counts: Record<string, number> = { error: errors.size };
      for (const { kind } of objects.values()) counts[kind] = (counts[kind] ?? 0) + 1;
      return counts;
    },
    failNext: (name, status) => void failures.set(name, status),
    close: () => callbacks.forEach(koffi.unregister),
  };

  const table = allocate(1120);
  table.view.setBigUint64(0, 1120n, true);
  table.view.setInt32(API_VERSION_OFFSET + 4, apiMinor, true);

  function implement<F extends ApiFunction['fields']>(
    fn: ApiFunction<F>,
    body: (values: Values<F>) => Inputs<F> | undefined,
  ): void {
    const name = Object.entries(Functions).find(([, value]) => value.index === fn.index)![0];
    if (without.includes(name as keyof typeof Functions)) return;
    const callback = koffi.register((argument: number | bigint) => {
      try {
        const address = BigInt(argument);
        checkSize(fn.name, address, fn.size);
        const failure = failures.get(name);
        failures.delete(name);
        if (failure) throw failure;
        const view = viewMemory(address, fn.size + STRUCT_SLACK);
        const outputs = body(readFields(view, fn));
        if (outputs) writeFields(view, fn, outputs);
        return 0n;
      } catch (problem) {
        const status = problem as Partial<Status>;
        return makeError({ code: status.code ?? 13, message: status.message ?? String(problem) });
      }
    }, koffi.pointer(functionType));
    callbacks.push(callback);
    table.view.setBigUint64(API_FUNCTIONS_OFFSET + 8 * fn.index, callback, true);
  }

  const text = (value: string): { block: Address; size: number } => ({
    block: keep(blockOf(value)),
    size: value.length,
  });
  const idsOf = (process: number, length: number) => Array.from({ length }, (_, index) => process * 2048 + index);
  const ownIds = idsOf(group?.index ?? 0, devices);
  const deviceAddresses = ownIds.map((id) => BigInt(0x100 + id));
  const deviceList = allocate(devices * 8);
  deviceAddresses.forEach((address, index) => {
    deviceList.view.setBigUint64(index * 8, address, true);
  });

  implement(Functions.Error_Message, ({ error }) => {
    const { block, message } = errors.get(error)!;
    return { message: block.address, message_size: new TextEncoder().encode(message).length };
  });
  implement(Functions.Error_GetCode, ({ error }) => ({ code: errors.get(error)!.code }));
  implement(Functions.Error_Destroy, ({ error }) => {
    errors.delete(error);
    return undefined;
  });
  implement(Functions.Plugin_Initialize, () => undefined);
  implement(Functions.Plugin_Attributes, () => {
    const list = allocate(Structs.NamedValue.size);
    const [name, value] = [blockOf('stablehlo_current_version'), allocate(24)];
    [1n, 17n, 0n].forEach((part, index) => {
      value.view.setBigInt64(index * 8, part, true);
    });
    for (const block of [list, name, value]) keep(block);
    writeFields(list.view, Structs.NamedValue, {
      name,
      name_size: 25,
      type: NamedValueType.int64List,
      value: value.address,
      value_size: 3,
    });
    return { attributes: list.address, num_attributes: 1 };
  });
  implement(Functions.Client_Create, ({ create_options, num_options }) => {
    for (let index = 0n; index < num_options; index += 1n) {
      const view = viewMemory(create_options + index * 56n, 56);
      const entry = readFields(view, Structs.NamedValue);
      const name = readText(entry.name, Number(entry.name_size));
      const offset = Structs.NamedValue.offsets.value;
      if (entry.type === NamedValueType.float) standIn.options[name] = view.getFloat32(offset, true);
      else if (entry.type === NamedValueType.string)
        standIn.options[name] = readText(entry.value, Number(entry.value_size));
      else if (entry.type === NamedValueType.bool) standIn.options[name] = view.getUint8(offset) === 1;
      else
        standIn.options[name] =
          entry.type === NamedValueType.int64List ? readPointers(entry.value, Number(entry.value_size)) : entry.value;
    }
    return { client: hold({ kind: 'client' }) };
  });
  implement(Functions.Client_Destroy, ({ client }) => drop(client, 'client'));
  implement(Functions.Client_PlatformName, () => {
    const { block, size } = text('stand-in');
    return { platform_name: block, platform_name_size: size };
  });
  implement(Functions.Client_PlatformVersion, () => {
    const { block, size } = text('stand-in 1');
    return { platform_version: block, platform_version_size: size };
  });
  implement(Functions.Client_Devices, () => {
    if (!group) return { devices: deviceList.address, num_devices: devices };
    const ids = group.devices.flatMap((length, process) => idsOf(process, length)).reverse(); // not in order of processes
    const list = allocate(ids.length * 8);
    for (const [index, id] of ids.entries()) list.view.setBigUint64(index * 8, BigInt(0x100 + id), true);
    return { devices: keep(list), num_devices: ids.length };
  });
  implement(Functions.DeviceDescription_ProcessIndex, ({ device_description }) => ({
    process_index: Math.floor((Number(device_description) - 0x100) / 2048),
  }));
  implement(Functions.Client_AddressableDevices, () => {
    return { addressable_devices: deviceList.address, num_addressable_devices: devices };
  });
  implement(Functions.Device_GetDescription, ({ device }) => ({ device_description: device }));
  implement(Functions.DeviceDescription_Id, ({ device_description }) => ({ id: Number(device_description) - 0x100 }));
  implement(Functions.DeviceDescription_Kind, () => {
    const { block, size } = text('Stand-in accelerator');
    return { device_kind: block, device_kind_size: size };
  });
  implement(Functions.Device_MemoryStats, () => {
    const sizes = [...objects.values()].map((item) => (item.kind === 'buffer' ? item.bytes.length : 0));
    return { bytes_in_use: sizes.reduce((a, b) => a + b, 0), bytes_limit: 2 ** 40, bytes_limit_is_set: true };
  });
  implement(Functions.Client_BufferFromHostBuffer, ({ data, dims, num_dims, type, device }) => {
    const count = readPointers(dims, Number(num_dims)).reduce((a, b) => a * b, 1n);
    const bytes = readBytes(data, Number(count) * ([0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 2][type] ?? 0));
    return { buffer: hold({ kind: 'buffer', bytes, device }), done_with_host_buffer: hold({ kind: 'event' }) };
  });
  implement(Functions.Buffer_Destroy, ({ buffer }) => drop(buffer, 'buffer'));
  implement(Functions.Buffer_ToHostBuffer, ({ src, dst, dst_size }) => {
    const { bytes } = get(src, 'buffer');
    if (dst === 0n) return { dst_size: bytes.length };
    if (Number(dst_size) < bytes.length) throw { code: 3, message: 'dst_size is too small' } satisfies Status;
    new Uint8Array(koffi.view(dst, bytes.length)).set(bytes);
    return { event: hold({ kind: 'event' }) };
  });
  implement(Functions.Event_Await, ({ event }) => {
    if (!objects.has(event)) throw { code: 3, message: 'no such event' } satisfies Status;
    return undefined;
  });
  implement(Functions.Event_Destroy, ({ event }) => drop(event, 'event'));
  implement(Functions.Client_Compile, ({ program, compile_options, compile_options_size }) => {
    checkSize('PJRT_Program', program, Structs.Program.size);
    const { code, code_size, format, format_size } = readFields(viewMemory(program, 48), Structs.Program);
    if (readText(format, Number(format_size)) !== 'mlir') throw { code: 3, message: 'format' } satisfies Status;
    const module = readText(code, Number(code_size));
    const results = /results=(\d+)/.exec(module)?.[1];
    if (!results) throw { code: 3, message: `cannot parse "${module}"` } satisfies Status;
    standIn.compilations += 1;
    standIn.lastOptions = readBytes(compile_options, Number(compile_options_size));
    return { executable: hold({ kind: 'program', text: module, results: Number(results) }) };
  });
  implement(Functions.LoadedExecutable_Destroy, ({ executable }) => drop(executable, 'program'));
  implement(Functions.LoadedExecutable_GetExecutable, ({ loaded_executable }) => {
    return { executable: hold({ kind: 'executable', of: get(loaded_executable, 'program') }) };
  });
  implement(Functions.Executable_Destroy, ({ executable }) => drop(executable, 'executable'));
  implement(Functions.Executable_NumOutputs, ({ executable }) => {
    return { num_outputs: get(executable, 'executable').of.results };
  });
  const deleter = koffi.register(
    (address: number | bigint) => drop(BigInt(address), 'serialized'),
    koffi.pointer(deleterType),
  );
  callbacks.push(deleter);
  implement(Functions.Executable_Serialize, ({ executable }) => {
    const { block, size } = text(JSON.stringify(get(executable, 'executable').of));
    return {
      serialized_bytes: block,
      serialized_bytes_size: size,
      serialized_executable: hold({ kind: 'serialized' }),
      serialized_executable_deleter: deleter,
    };
  });
  implement(Functions.Executable_DeserializeAndLoad, ({ serialized_executable, serialized_executable_size }) => {
    const program = JSON.parse(readText(serialized_executable, Number(serialized_executable_size))) as Program;
    return { loaded_executable: hold(program) };
  });
  implement(Functions.Executable_GetCompiledMemoryStats, () => ({
    temp_size_in_bytes: 3 * 2 ** 30,
    output_size_in_bytes: 8,
  }));
  implement(Functions.LoadedExecutable_Execute, (values) => {
    checkSize('PJRT_ExecuteOptions', values.options, Structs.ExecuteOptions.size);
    const { results } = get(values.executable, 'program');
    const argumentLists = readPointers(values.argument_lists, Number(values.num_devices));
    const outputLists = readPointers(values.output_lists, Number(values.num_devices));
    argumentLists.forEach((list, replica) => {
      const inputs = readPointers(list, Number(values.num_args)).map((address) => get(address, 'buffer'));
      if (inputs.some(({ device }) => device !== deviceAddresses[replica])) {
        throw { code: 3, message: 'an argument lies on another device' } satisfies Status;
      }
      const outputs = viewMemory(outputLists[replica]!, results * 8);
      for (let result = 0; result < results; result += 1) {
        const { bytes } = inputs[result % inputs.length]!;
        const sum = new Float32Array(bytes.slice().buffer).map((value) => value + 1);
        const buffer = hold({ kind: 'buffer', bytes: new Uint8Array(sum.buffer), device: deviceAddresses[replica]! });
        outputs.setBigUint64(result * 8, buffer, true);
      }
    });
    return undefined;
  });
  keep(table);
  return Object.assign(standIn, { table: table.address });
}
