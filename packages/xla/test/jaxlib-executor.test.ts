import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJaxlibExecutor, type JaxlibExecutor, jaxlibPython } from './jaxlib-executor.js';

const addModule = `module @add {
 func.func public @main(%a: tensor<2x2xf32> {tf.aliasing_output = 0 : i32}, %b: tensor<2x2xf32>) -> (tensor<2x2xf32>) {
  %c = "stablehlo.add"(%a, %b) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  "func.return"(%c) : (tensor<2x2xf32>) -> ()
 }
}`;
const matrix = { type: 'f32', shape: [2, 2] } as const;

describe.skipIf(!jaxlibPython())('createJaxlibExecutor', () => {
  let executor: JaxlibExecutor;
  beforeAll(() => {
    executor = createJaxlibExecutor();
  });
  afterAll(() => executor.dispose());

  it('runs a program, with its first argument donated', async () => {
    const program = executor.compile(addModule, { inputs: [matrix, matrix], outputs: [matrix] });
    const a = executor.upload(Float32Array.of(1, 2, 3, 4), matrix);
    const b = executor.upload(Float32Array.of(10, 20, 30, 40), matrix);
    const [[sum]] = executor.execute(program, [[a, b]], [0]) as [[typeof a]];
    expect([...(await executor.download(sum))]).toEqual([11, 22, 33, 44]);
    expect(() => executor.downloadSync(a)).toThrow('freed or donated');
    for (const buffer of [a, b, sum]) executor.free(buffer);
    program.dispose();
    expect(executor.liveObjects()).toBe(0);
    expect(executor.memory().bytesInUse).toBe(0);
  });

  it('sums over four replicas', () => {
    const module = `module @mean {
 func.func public @main(%a: tensor<2xf32>) -> (tensor<2xf32>) {
  %s = "stablehlo.all_reduce"(%a) ({
   ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    %z = stablehlo.add %x, %y : tensor<f32>
    stablehlo.return %z : tensor<f32>
  }) {replica_groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<2xf32>) -> tensor<2xf32>
  "func.return"(%s) : (tensor<2xf32>) -> ()
 }
}`;
    const pair = { type: 'f32', shape: [2] } as const;
    const program = executor.compile(module, { replicas: 4, inputs: [pair], outputs: [pair] });
    const inputs = [0, 1, 2, 3].map((device) => [executor.upload(Float32Array.of(device, 10), pair, device)]);
    const outputs = executor.execute(program, inputs);
    for (const [sum] of outputs) expect([...executor.downloadSync(sum!)]).toEqual([6, 40]);
    for (const buffer of [...inputs, ...outputs].flat()) executor.free(buffer);
    program.dispose();
  });

  it('takes every element type there and back', () => {
    const cases = [
      ['bf16', Uint16Array.of(0x3f80, 0xc000)],
      ['i1', Uint8Array.of(1, 0)],
      ['i32', Int32Array.of(-5, 7)],
      ['ui64', BigUint64Array.of(1n, 2n ** 63n)],
      ['f32', Float32Array.of(Number.NaN, -0)],
    ] as const;
    for (const [type, data] of cases) {
      const buffer = executor.upload(data, { type, shape: [2] });
      expect(executor.downloadSync(buffer)).toEqual(data);
      executor.free(buffer);
    }
  });

  it("throws the compiler's message", () => {
    expect(() => executor.compile('module { nonsense }', { inputs: [], outputs: [] })).toThrow(/custom op|expected/);
  });
});
