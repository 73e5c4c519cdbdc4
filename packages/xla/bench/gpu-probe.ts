/**
 * Tries the PJRT binding on a real device: discovery, upload, matrix product, download, donation, errors, the compile
 * cache, memory statistics, and what a call costs. Prints one line per check and exits with 1 when one failed.
 *
 *     node --import tsx --conditions=@tb/source bench/gpu-probe.ts
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatXlaInfo, xlaInfo } from '../src/doctor.js';
import type { ArraySpec, DeviceBuffer } from '../src/executor.js';
import { discoverPlugins, nvidiaLibraries } from '../src/pjrt/discovery.js';
import { createPjrtExecutor } from '../src/pjrt/pjrt-executor.js';

let failed = 0;
async function check(name: string, body: () => unknown): Promise<void> {
  const start = performance.now();
  try {
    const detail = await body();
    console.log(`ok   ${name} (${(performance.now() - start).toFixed(1)} ms)`, detail ?? '');
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}:`, error);
  }
}
function expectTrue(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

const cacheFolder = mkdtempSync(join(tmpdir(), 'gpu-probe-'));
const found = discoverPlugins();
console.log('plugins', JSON.stringify(found));
if (found.found[0]?.nvidiaFolder) console.log('preload', nvidiaLibraries(found.found[0].nvidiaFolder).join(' '));

const openStart = performance.now();
const executor = createPjrtExecutor({ cacheFolder, preallocate: false });
console.log(`client in ${(performance.now() - openStart).toFixed(0)} ms:`, executor.platform, executor.deviceKind);
console.log(executor.platformVersion, executor.plugin.api.version, JSON.stringify(executor.plugin.attributes));

const N = 8192; // side of the matrices
const square: ArraySpec = { type: 'bf16', shape: [N, N] };
const product = `module @product {
 func.func public @main(%a: tensor<${N}x${N}xbf16>, %b: tensor<${N}x${N}xbf16>) -> (tensor<${N}x${N}xbf16>, tensor<1x1xbf16>) {
  %c = "stablehlo.dot_general"(%a, %b) {dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>} : (tensor<${N}x${N}xbf16>, tensor<${N}x${N}xbf16>) -> tensor<${N}x${N}xbf16>
  %corner = "stablehlo.slice"(%c) {start_indices = array<i64: 0, 0>, limit_indices = array<i64: 1, 1>, strides = array<i64: 1, 1>} : (tensor<${N}x${N}xbf16>) -> tensor<1x1xbf16>
  "func.return"(%c, %corner) : (tensor<${N}x${N}xbf16>, tensor<1x1xbf16>) -> ()
 }
}`;
const corner: ArraySpec = { type: 'bf16', shape: [1, 1] };
const small: ArraySpec = { type: 'f32', shape: [4] };
const stepModule = `module @step {
 func.func public @main(%a: tensor<4xf32> {tf.aliasing_output = 0 : i32}, %b: tensor<4xf32>) -> (tensor<4xf32>) {
  %c = "stablehlo.add"(%a, %b) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  "func.return"(%c) : (tensor<4xf32>) -> ()
 }
}`;

await check('error with message and code', () => {
  try {
    executor.compile('module { nonsense }', { inputs: [], outputs: [] });
  } catch (error) {
    return String(error).slice(0, 300);
  }
  throw new Error('a broken module compiled');
});
await check('unknown flag is an error', () => {
  try {
    executor.compile(stepModule, { inputs: [small, small], outputs: [small], flags: { xla_no_such_flag: true } });
  } catch (error) {
    return String(error).slice(0, 200);
  }
  throw new Error('an unknown flag was accepted');
});
await check('donated step, 1000 times', () => {
  const program = executor.compile(stepModule, { inputs: [small, small], outputs: [small] });
  let state: DeviceBuffer = executor.upload(Float32Array.of(0, 1, 2, 3), small);
  const one = executor.upload(Float32Array.of(1, 1, 1, 1), small);
  for (let step = 0; step < 100; step += 1)
    [[state]] = executor.execute(program, [[state, one]], [0]) as [[DeviceBuffer]];
  executor.downloadSync(state);
  const start = performance.now();
  for (let step = 0; step < 1000; step += 1)
    [[state]] = executor.execute(program, [[state, one]], [0]) as [[DeviceBuffer]];
  const enqueue = performance.now() - start;
  const values = [...executor.downloadSync(state)];
  expectTrue(JSON.stringify(values) === '[1100,1101,1102,1103]', `got ${values}`);
  return `${enqueue.toFixed(1)} us per call to enqueue, ${(performance.now() - start).toFixed(1)} us to complete`;
});
await check('program of 1500 arguments', () => {
  const count = 1500;
  const names = Array.from({ length: count }, (_, index) => index);
  const types = names.map(() => 'tensor<4xf32>').join(', ');
  const module = `module @many { func.func public @main(${names.map((i) => `%a${i}: tensor<4xf32> {tf.aliasing_output = ${i} : i32}`).join(', ')}) -> (${types}) {
   "func.return"(${names.map((i) => `%a${i}`).join(', ')}) : (${types}) -> () } }`;
  const specs = names.map(() => small);
  const program = executor.compile(module, { inputs: specs, outputs: specs });
  let state = names.map((index) => executor.upload(Float32Array.of(index, 0, 0, 0), small));
  for (let step = 0; step < 20; step += 1) [state] = executor.execute(program, [state], names) as [DeviceBuffer[]];
  executor.downloadSync(state[0]!);
  const start = performance.now();
  for (let step = 0; step < 100; step += 1) [state] = executor.execute(program, [state], names) as [DeviceBuffer[]];
  const each = (performance.now() - start) * 10;
  expectTrue(executor.downloadSync(state[7]!)[0] === 7, 'values moved');
  state.forEach(executor.free);
  return `${each.toFixed(0)} us per call`;
});
await check('product of two 8192 x 8192 bf16 matrices', async () => {
  const bits = (index: number) => 0x3f00 | (Math.imul(index, 2654435761) >>> 25); // 0.5 to 1
  const a = Uint16Array.from({ length: N * N }, (_, index) => bits(index));
  const uploadStart = performance.now();
  const [x, y] = [executor.upload(a, square), executor.upload(a, square)];
  const uploaded = performance.now() - uploadStart;
  const program = executor.compile(product, { inputs: [square, square], outputs: [square, corner] });
  const run = () => executor.execute(program, [[x, y]])[0] as [DeviceBuffer, DeviceBuffer];
  /** Milliseconds for `count` products; the wait is for one element of the last. */
  const time = (count: number): number => {
    const start = performance.now();
    for (let index = 0; index < count; index += 1) {
      const [whole, one] = run();
      executor.free(whole);
      if (index === count - 1) executor.downloadSync(one);
      executor.free(one);
    }
    return performance.now() - start;
  };
  time(10);
  const each = (time(210) - time(10)) / 200;
  const [whole] = run();
  await executor.download(whole);
  const copyStart = performance.now();
  const values = (await executor.download(whole)) as Uint16Array;
  const copy = performance.now() - copyStart;
  const againStart = performance.now();
  executor.free(executor.upload(a, square));
  const again = performance.now() - againStart;
  const float = (raw: number) => new Float32Array(Uint32Array.of(raw << 16).buffer)[0]!;
  let expected = 0;
  for (let k = 0; k < N; k += 1) expected += float(a[3 * N + k]!) * float(a[k * N + 5]!);
  const got = float(values[3 * N + 5]!);
  expectTrue(Math.abs(got - expected) / expected < 0.01, `got ${got}, expected ${expected}`);
  return `${((2 * N ** 3) / each / 1e9).toFixed(0)} TFLOP/s; upload ${(0.25 / (uploaded / 1000)).toFixed(1)} GiB/s, again ${(0.125 / (again / 1000)).toFixed(1)} GiB/s, download ${(0.125 / (copy / 1000)).toFixed(1)} GiB/s; compile ${program.compileSeconds.toFixed(2)} s; memory ${JSON.stringify(program.memory())}`;
});
await check('the event loop runs during a download', async () => {
  const data = executor.upload(new Float32Array(2 ** 27), { type: 'f32', shape: [2 ** 27] });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await executor.download(data);
  clearInterval(timer);
  executor.free(data);
  return `${ticks} ticks`;
});
await check('the program comes from the cache folder', () => {
  const program = executor.compile(product, { inputs: [square, square], outputs: [square, corner] });
  expectTrue(program.cached, 'compiled again');
  return `${program.compileSeconds.toFixed(3)} s`;
});
await check('memory statistics', () => JSON.stringify(executor.memory()));
await check('dispose', () => executor.dispose());
await check('a second client, by the doctor', () => `\n${formatXlaInfo(xlaInfo())}`);
console.log(failed === 0 ? 'all checks passed' : `${failed} checks failed`);
process.exit(failed === 0 ? 0 : 1);
