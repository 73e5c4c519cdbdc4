/** Kernels in CUDA C++ up to the program's text, with a stand-in for NVRTC. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineOperation, jit, operationChoices, useBackend } from '@tb/runtime';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFakeExecutor } from '../../test/fake-executor.js';
import type { ArraySpec } from '../executor.js';
import { makeLeaf, type Node } from '../graph/node.js';
import { openProgramCache } from '../pjrt/cache.js';
import { registerBackend } from '../register.js';
import { type CudaLaunch, defineCudaKernel } from './define-cuda-kernel.js';
import { type KernelCall, kernelCall } from './kernel-call.js';
import { findNvrtc, type Nvrtc } from './nvrtc.js';
import { type CudaDevice, createCudaCompiler, cudaCompilerOf, setCudaCompiler } from './ptx.js';

const folder = mkdtempSync(join(tmpdir(), 'cuda-'));
beforeAll(() => useBackend('cpu')); // its gradients serve every backend
afterAll(() => rmSync(folder, { recursive: true }));

const device: CudaDevice = { kind: 'NVIDIA H200', capability: '9.0', multiprocessors: 132 };

/** PTX of a kernel that does nothing, with so many pointers. */
const ptxOf = (entry: string, pointers: number) =>
  `.version 9.0\n.target sm_90a\n.visible .entry ${entry}(\n${Array.from({ length: pointers }, (_, i) => `\t.param .u64 ${entry}_param_${i}`).join(',\n')}\n)\n{\n\tret; // "quoted" \\ here\n}\n`;

/** Compiles the first kernel of a source, by its declaration alone. */
function standIn(): Nvrtc & { compiled: { source: string; options: readonly string[] }[] } {
  const compiled: { source: string; options: readonly string[] }[] = [];
  return {
    path: 'stand-in',
    version: '13.0',
    compiled,
    compile(source, options) {
      compiled.push({ source, options });
      const [, entry, parameters] = /__global__ void (\w+)\(([^)]*)\)/.exec(source) ?? [];
      if (!entry) throw new Error('NVRTC 13.0 does not compile the kernel:\nerror: expected a declaration');
      return ptxOf(entry, parameters!.split(',').length);
    },
  };
}

const leafOf = (type: ArraySpec): Node => makeLeaf(type, { host: new Float32Array(1) });
const vector: ArraySpec = { type: 'f32', shape: [256] };
const call = (changes: Partial<KernelCall> = {}): KernelCall => ({
  entry: 'scaled',
  ptx: ptxOf('scaled', 2),
  operands: [leafOf(vector)],
  results: [vector],
  grid: [1],
  block: [256],
  ...changes,
});

describe('kernelCall', () => {
  it('is a custom call that launches the PTX', () => {
    const [result] = kernelCall(call({ grid: [4, 2], sharedBytes: 1024, aliases: { 0: 0 } }));
    expect(result!.op).toBe('stablehlo.custom_call');
    const { attributes } = result!;
    expect(attributes).toContain('call_target_name = "__gpu$xla.gpu.ptx"');
    expect(attributes).toContain(
      'name = "scaled", kernel_type = "ptx", kernel_data = ".version 9.0\\0A.target sm_90a\\0A',
    );
    expect(attributes).toContain('\\22quoted\\22 \\5C here');
    expect(attributes).toContain('grid_x = 4 : i32, grid_y = 2 : i32, grid_z = 1 : i32, block_x = 256 : i32');
    expect(attributes).toContain('shared_mem_bytes = 1024 : i32');
    expect(attributes).toContain('operand_layouts = [dense<[0]> : tensor<1xindex>]');
    expect(attributes).toContain('output_tuple_indices = [], operand_index = 0');
  });

  it.each([
    [{ entry: 'no-name' }, 'entry must be a C identifier, got "no-name"'],
    [{ entry: 'other' }, 'the PTX has no entry other'],
    [{ results: [vector, vector] }, 'the kernel must have 3 pointer parameters, got (u64, u64)'],
    [{ grid: [0] }, 'grid must be one to three integers'],
    [{ grid: [1, 70000] }, 'grid must be one to three integers'],
    [{ block: [32, 64] }, 'block must have at most 1024 threads, got 2048'],
    [{ sharedBytes: 300_000 }, 'sharedBytes must be an integer from 0 to 232448'],
    [{ aliases: { 0: 3 } }, 'aliases must name a result and an operand'],
    [{ results: [{ type: 'i32', shape: [256] } as const], aliases: { 0: 0 } }, 'cannot take the memory of operand 0'],
  ] as [Partial<KernelCall>, string][])('refuses %j', (changes, message) => {
    expect(() => kernelCall(call(changes))).toThrow(message);
  });
});

describe('the compiler', () => {
  it('compiles for the architecture, once for each source, and finds in the folder what was compiled before', () => {
    const nvrtc = standIn();
    const source = 'extern "C" __global__ void scaled(const float* x, float* y) {}';
    const first = createCudaCompiler(device, nvrtc, openProgramCache(folder), '/opt/include');
    expect(first.compile(source)).toBe(ptxOf('scaled', 2));
    expect(first.compile(source)).toBe(ptxOf('scaled', 2));
    expect(nvrtc.compiled).toHaveLength(1);
    expect(nvrtc.compiled[0]!.options).toEqual([
      '--gpu-architecture=compute_90a',
      '--std=c++17',
      '-default-device',
      '--include-path=/opt/include',
    ]);
    const again = createCudaCompiler(device, nvrtc, openProgramCache(folder), '/opt/include');
    expect(again.compile(source)).toBe(ptxOf('scaled', 2));
    expect(nvrtc.compiled).toHaveLength(1);
    createCudaCompiler({ ...device, capability: '8.0' }, nvrtc, openProgramCache(folder)).compile(source);
    expect(nvrtc.compiled[1]!.options[0]).toBe('--gpu-architecture=compute_80');
    expect(readdirSync(folder)).toHaveLength(2);
    expect(() => first.compile('nonsense')).toThrow('expected a declaration');
  });

  it('reports why there is none', () => {
    const search = findNvrtc(undefined, { TB_NVRTC: join(folder, 'absent.so') });
    expect(search).toMatchObject({ reason: expect.stringContaining('absent.so, which does not load') });
    expect(cudaCompilerOf(createFakeExecutor())).toEqual({
      reason: 'kernels in CUDA C++ need a CUDA GPU, this is fake',
    });
    expect(cudaCompilerOf({ ...createFakeExecutor(), platform: 'cuda' })).toMatchObject({
      reason: expect.stringContaining('does not report'),
    });
  });
});

describe('defineCudaKernel', () => {
  const scaled = defineOperation('TestScaled', ({ x }: { x: tf.Tensor }, { factor }: { factor: number }) =>
    tf.mul(x, factor),
  );
  const launch = ({ x }: { x: { node: Node } }, { factor }: { factor: number }): CudaLaunch => ({
    operands: [x.node],
    results: [x.node.type],
    grid: [Math.ceil(x.node.type.shape[0]! / 256)],
    block: [256],
    defines: { FACTOR: factor },
  });
  let executor: ReturnType<typeof createFakeExecutor>;
  let nvrtc: ReturnType<typeof standIn>;
  beforeEach(async () => {
    executor = createFakeExecutor();
    nvrtc = standIn();
    setCudaCompiler(executor, { compiler: createCudaCompiler(device, nvrtc, undefined) });
    registerBackend(executor);
    await tf.setBackend('xla');
    defineCudaKernel('TestScaled', {
      source: 'extern "C" __global__ void scaled(const float* x, float* y) { *y = *x * FACTOR; }',
      entry: 'scaled',
      launch: launch as never,
      declines: ({ x }) => (x!.node.type.shape[0]! % 256 === 0 ? undefined : 'made for multiples of 256'),
    });
  });

  it('puts the kernel into compiled programs, and into those outside jit', () => {
    const program = jit((x: tf.Tensor) => scaled({ x }, { factor: 3 }));
    program(tf.ones([512]));
    expect(operationChoices().TestScaled).toBe('kernel');
    expect(nvrtc.compiled[0]!.source).toMatch(/^#define FACTOR 3\nextern "C"/);
    expect(executor.modules.at(-1)).toContain('call_target_name = "__gpu$xla.gpu.ptx"');
    expect(executor.modules.at(-1)).toContain('grid_x = 2 : i32');
    scaled({ x: tf.ones([256]) }, { factor: 3 }).dataSync();
    expect(executor.modules.at(-1)).toContain('grid_x = 1 : i32');
  });

  it('runs the definition where the kernel declines or nothing compiles it', () => {
    scaled({ x: tf.ones([100]) }, { factor: 3 }).dataSync();
    expect(operationChoices().TestScaled).toBe('made for multiples of 256');
    expect(executor.modules.at(-1)).toContain('stablehlo.multiply');
    setCudaCompiler(executor, { reason: 'no compiler here' });
    scaled({ x: tf.ones([256]) }, { factor: 4 }).dataSync();
    expect(operationChoices().TestScaled).toBe('no compiler here');
    expect(executor.modules.at(-1)).not.toContain('custom_call');
  });
});

const hasNvcc = spawnSync('nvcc', ['--version']).status === 0;

describe.skipIf(!hasNvcc)('the sources', () => {
  it('compile', async () => {
    const { sampleSymbolsProgram } = await import('./sample-symbols.js');
    const path = join(folder, 'sample-symbols.cu');
    writeFileSync(path, sampleSymbolsProgram({ rows: 8, groups: 16, depth: 4, symbols: 64 }));
    const output = join(folder, 'sample-symbols.ptx');
    const run = spawnSync('nvcc', ['-arch=sm_90a', '-std=c++17', '-ptx', '-o', output, path], { encoding: 'utf8' });
    expect(run.stderr).not.toContain('error');
    expect(run.status).toBe(0);
  }, 60_000);
});
