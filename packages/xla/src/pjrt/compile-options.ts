/**
 * The protocol buffer that `PJRT_Client_Compile` takes: `CompileOptionsProto` of OpenXLA's compile_options.proto, with
 * the few fields that we set. The numbers of its fields are given below.
 */
import type { CompileOptions, FlagValue } from '../executor.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

/** Base 128, low group first; negative numbers as 64-bit two's complement, as int64 fields are encoded. */
function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const group = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? group | 0x80 : group);
  } while (rest > 0n);
  return bytes;
}

function integerField(field: number, value: number | bigint): number[] {
  return [...varint((field << 3) | VARINT), ...varint(value)];
}

function bytesField(field: number, bytes: readonly number[]): number[] {
  return [...varint((field << 3) | BYTES), ...varint(bytes.length), ...bytes];
}

function doubleField(field: number, value: number): number[] {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return [...varint((field << 3) | FIXED64), ...bytes];
}

const text = (value: string): number[] => [...new TextEncoder().encode(value)];

/** `OptionOverrideProto`: a boolean flag must come as a boolean, an enumeration or a list as a string. */
function flagValue(value: FlagValue): number[] {
  if (typeof value === 'string') return bytesField(1, text(value));
  if (typeof value === 'boolean') return integerField(2, value ? 1 : 0);
  return Number.isInteger(value) ? integerField(3, value) : doubleField(4, value);
}

/** `DeviceAssignmentProto`: replica r of the only computation runs on the r-th of `deviceIds`. */
function deviceAssignment(deviceIds: readonly number[]): number[] {
  const computation = bytesField(1, deviceIds.flatMap(varint)); // packed replica_device_ids
  return [...integerField(1, deviceIds.length), ...integerField(2, 1), ...bytesField(3, computation)];
}

/**
 * @param deviceIds - the global ids of the devices that run the program, one per replica
 * @throws Error when a flag's value is not finite, or the replicas and the devices differ in number
 */
export function encodeCompileOptions(
  { replicas = 1, flags = {} }: CompileOptions,
  deviceIds: readonly number[],
): Uint8Array {
  // XLA ends the process when the number of replicas is 0.
  if (!Number.isInteger(replicas) || replicas < 1 || deviceIds.length !== replicas) {
    throw new Error(
      `encodeCompileOptions: replicas must be a count of at least 1 with a device each, got ${replicas} on ${deviceIds.length} devices`,
    );
  }
  const build = [
    ...integerField(1, -1), // device_ordinal: unset
    ...integerField(4, replicas),
    ...integerField(5, 1), // num_partitions
    ...bytesField(9, deviceAssignment(deviceIds)),
  ];
  const overrides = Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new Error(`encodeCompileOptions: flag ${name} must be finite, got ${value}`);
    }
    return bytesField(7, [...bytesField(1, text(name)), ...bytesField(2, flagValue(value))]); // a map entry
  });
  return Uint8Array.from([...bytesField(3, build), ...overrides]);
}
