import { describe, expect, it } from 'vitest';
import { allocateStruct, Functions, readFields, Structs, writeFields } from './structs.js';

describe('struct layouts', () => {
  it('have the sizes of pjrt_c_api.h 0.90', () => {
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

  it('give back what was written', () => {
    const block = allocateStruct(Functions.Client_BufferFromHostBuffer);
    writeFields(block.view, Functions.Client_BufferFromHostBuffer, { client: 2n ** 47n, type: 11, num_dims: 3 });
    const values = readFields(block.view, Functions.Client_BufferFromHostBuffer);
    expect(values).toMatchObject({ client: 2n ** 47n, type: 11, num_dims: 3n, buffer: 0n });
    expect(block.view.getBigUint64(0, true)).toBe(120n);
  });
});
