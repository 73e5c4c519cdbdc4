import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateStruct, Functions, readFields, type Struct, Structs, writeFields } from './structs.js';

describe('struct layouts', () => {
  it('layouts have the sizes of pjrt_c_api.h 0.90', () => {
    const sizes = {
      PJRT_Client_Create_Args: 88,
      PJRT_Client_Compile_Args: 56,
      PJRT_Program: 48,
      PJRT_ExecuteOptions: 112,
      PJRT_LoadedExecutable_Execute_Args: 80,
      PJRT_Client_BufferFromHostBuffer_Args: 120,
      PJRT_Buffer_ToHostBuffer_Args: 56,
      PJRT_Executable_Serialize_Args: 56,
      PJRT_Executable_DeserializeAndLoad_Args: 64,
      PJRT_Device_MemoryStats_Args: 185,
      PJRT_Executable_GetCompiledMemoryStats_Args: 120,
      PJRT_NamedValue: 56,
      PJRT_KeyValueGetCallback_Args: 80,
      PJRT_KeyValueTryGetCallback_Args: 72,
      PJRT_KeyValuePutCallback_Args: 64,
    };
    const ours = Object.fromEntries(
      [...Object.values(Functions), ...Object.values(Structs)].map((s) => [s.name, s.size]),
    );
    expect(ours).toMatchObject(sizes);
  });

  it('fields are read as they were written', () => {
    const block = allocateStruct(Functions.Client_BufferFromHostBuffer);
    writeFields(block.view, Functions.Client_BufferFromHostBuffer, { client: 2n ** 47n, type: 11, num_dims: 3 });
    const values = readFields(block.view, Functions.Client_BufferFromHostBuffer);
    expect(values).toMatchObject({ client: 2n ** 47n, type: 11, num_dims: 3n, buffer: 0n });
    expect(block.view.getBigUint64(0, true)).toBe(120n);
  });

  it('no field overlaps another', () => {
    const layouts: Struct[] = [...Object.values(Functions), ...Object.values(Structs)];
    const seeds = fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(fc.constantFrom(...layouts), seeds, (layout, numbers) => {
        const values = Object.entries(layout.fields).map(([name, type], index) => {
          const number = numbers[index]!;
          if (type === 'bool') return [name, number % 2n === 0n];
          if (type === 'int32') return [name, Number(BigInt.asIntN(32, number))];
          return [name, type === 'float' ? Math.fround(Number(number % 1000n) / 7) : number];
        });
        const block = allocateStruct(layout);
        writeFields(block.view, layout, Object.fromEntries(values));
        expect(readFields(block.view, layout)).toEqual(Object.fromEntries(values));
      }),
    );
  });
});
