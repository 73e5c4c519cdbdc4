import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createStandIn } from '../test/stand-in-plugin.js';
import { diagnose, formatXlaInfo, xlaInfo } from './doctor.js';
import { cudaDataFolder, discoverPlugins, nvidiaLibraries } from './pjrt/discovery.js';
import { configureStacks } from './pjrt/memory.js';
import { adoptPlugin, loadPlugin, PluginNotFoundError } from './pjrt/plugin.js';

configureStacks(); // before the stand-in's first call
const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
afterAll(() => rmSync(folder, { recursive: true }));

function touch(...parts: string[]): string {
  const path = join(folder, ...parts);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, 'not a library');
  return path;
}

describe('xlaInfo', () => {
  it('describes the plugin and its devices, and closes them again', () => {
    const standIn = createStandIn({ devices: 2 });
    const info = xlaInfo(() => adoptPlugin(standIn.table, { path: '/opt/stand-in.so', source: 'test' }));
    expect(info).toMatchObject({ usable: true, platform: 'stand-in', looked: [] });
    expect(info.plugin).toMatchObject({ path: '/opt/stand-in.so', apiVersion: '0.115' });
    expect(info.devices.map(({ kind, memory }) => [kind, memory?.bytesLimit])).toEqual([
      ['Stand-in accelerator', 2 ** 40],
      ['Stand-in accelerator', 2 ** 40],
    ]);
    expect(formatXlaInfo(info)).toContain('device 1    Stand-in accelerator, 1024.0 GiB usable');
    expect(standIn.live()).toEqual({ error: 0 });
    standIn.close();
  });

  it('reports a client that cannot be created', () => {
    const standIn = createStandIn();
    standIn.failNext('Client_Create', { code: 9, message: 'failed call to cuInit: CUDA_ERROR_NO_DEVICE' });
    const info = xlaInfo(() => adoptPlugin(standIn.table, { path: 'x', source: 'test' }));
    expect(info).toMatchObject({ usable: false, devices: [], reason: 'the driver shows no GPU to this process' });
    expect(info.fix).toContain('CUDA_VISIBLE_DEVICES');
    standIn.close();
  });

  it('reports a library that does not load', () => {
    const info = xlaInfo(touch('broken', 'xla_cuda_plugin.so'));
    expect(info.usable).toBe(false);
    expect(info.reason).toMatch(/xla_cuda_plugin\.so/);
    expect(formatXlaInfo(info)).toMatch(/^fix +pip install/m);
  });

  it('lists the places that were searched when there is no plugin', () => {
    const info = xlaInfo(join(folder, 'absent.so'));
    expect(info.looked).toEqual([{ source: 'the plugin option', reason: `no plugin at ${join(folder, 'absent.so')}` }]);
    expect(info.reason).toBeTypeOf('string');
    expect(() => loadPlugin(join(folder, 'absent.so'))).toThrow(PluginNotFoundError);
  });
});

describe('diagnose', () => {
  const missing = new PluginNotFoundError([]);

  it.each([
    ['darwin', undefined, missing, 'only for Linux', 'WSL 2'],
    ['linux', undefined, missing, 'no NVIDIA driver', 'jax[cuda13]'],
    ['linux', '580.65.06', missing, 'no PJRT plugin', 'jax[cuda13]'],
    ['linux', '550.54.15', missing, 'no PJRT plugin', 'jax[cuda12]'],
    [
      'linux',
      '580.1',
      new Error('libcudnn.so.9: cannot open shared object file'),
      'needs libcudnn.so.9',
      'jax[cuda13]',
    ],
    ['linux', '550.1', new Error('CUDA driver version is insufficient'), '550.1) is too old', 'jax[cuda12]'],
    [
      'linux',
      '580.1',
      new Error('CUDA_ERROR_OUT_OF_MEMORY: out of memory'),
      'another process',
      'TB_XLA_MEMORY_FRACTION',
    ],
    ['linux', '580.1', new Error('something new'), 'something new', 'jax[cuda13]'],
  ] as const)('%s, driver %s: %s', (operatingSystem, driver, error, reason, fix) => {
    const diagnosis = diagnose({ operatingSystem, driver, error });
    expect(diagnosis.reason).toContain(reason);
    expect(diagnosis.fix).toContain(fix);
  });
});

it('advises no driver to a machine without a GPU', () => {
  const symptoms = { operatingSystem: 'linux', error: new PluginNotFoundError([]) } as const;
  expect(diagnose({ ...symptoms, hasGpu: false })).toEqual({ reason: 'this machine has no NVIDIA GPU' });
  expect(diagnose({ ...symptoms, hasGpu: true }).fix).toMatch(/^install the NVIDIA driver/);
  expect(diagnose(symptoms).fix).toMatch(/^install the NVIDIA driver/); // where it is not known
});

describe('discoverPlugins', () => {
  it('takes the newest plugin of the active environment, with its libraries in order', () => {
    const site = ['venv', 'lib', 'python3.12', 'site-packages'];
    touch(...site, 'jax_plugins', 'xla_cuda12', 'xla_cuda_plugin.so');
    const newest = touch(...site, 'jax_plugins', 'xla_cuda13', 'xla_cuda_plugin.so');
    const runtime = touch(...site, 'nvidia', 'cu13', 'lib', 'libcudart.so.13');
    const blas = touch(...site, 'nvidia', 'cu13', 'lib', 'libcublas.so.13');
    const lightBlas = touch(...site, 'nvidia', 'cu13', 'lib', 'libcublasLt.so.13');
    const dnn = touch(...site, 'nvidia', 'cudnn', 'lib', 'libcudnn.so.9');
    touch(...site, 'nvidia', 'cu13', 'nvvm', 'libdevice', 'libdevice.10.bc');
    const nvidia = join(folder, ...site, 'nvidia');
    const { found } = discoverPlugins({ VIRTUAL_ENV: join(folder, 'venv') });
    expect(found[0]).toEqual({ path: newest, source: 'VIRTUAL_ENV', nvidiaFolder: nvidia });
    expect(nvidiaLibraries(nvidia)).toEqual([runtime, lightBlas, blas, dnn]);
    expect(cudaDataFolder(nvidia)).toBe(join(nvidia, 'cu13'));
  });

  it('takes folders and files from the environment, accelerators first', () => {
    const cpu = touch('plugins', 'pjrt_c_api_cpu_plugin.so');
    const cuda = touch('plugins', 'pjrt_c_api_cuda_plugin.so');
    touch('plugins', 'readme.txt');
    const { found } = discoverPlugins({ PJRT_PLUGIN_LIBRARY_PATH: `/nowhere:${join(folder, 'plugins')}` });
    expect(found.map(({ path }) => path)).toEqual([cuda, cpu]);
    expect(discoverPlugins({ TB_PJRT_PLUGIN: cpu, PJRT_PLUGIN_LIBRARY_PATH: folder }).found[0]!.path).toBe(cpu);
  });

  it('takes no other plugin in place of one that was named', () => {
    const absent = join(folder, 'absent.so');
    const environment = { TB_PJRT_PLUGIN: absent, PJRT_PLUGIN_LIBRARY_PATH: join(folder, 'plugins') };
    expect(discoverPlugins(environment)).toEqual({
      found: [],
      missed: [{ source: 'TB_PJRT_PLUGIN', reason: `no plugin at ${absent}` }],
    });
  });
});
