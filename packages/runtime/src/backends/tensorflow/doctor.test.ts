import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildAddon } from './build-addon.js';
import { type DoctorOptions, tensorflowDoctor } from './doctor.js';
import { linkTensorflow } from './link.js';
import { hashFile, writeLinkRecord } from './link-record.js';
import { locateAddon } from './load.js';
import { probeAddon } from './probe.js';
import type { ProblemCode } from './problem.js';
import { findSources, tfjsNodeVersion } from './sources.js';
import { locateWheel } from './wheel.js';

// A machine in a folder: its PATH holds only what each test puts there, and its Python sees only its site-packages.

let root: string;
let bin: string;
let site: string;
let environment: NodeJS.ProcessEnv;
let cacheFolder: string;

const realPython = findPython();

function findPython(): string | undefined {
  try {
    const script = 'import os, sys; print(os.path.realpath(sys.executable))';
    return execFileSync('python3', ['-c', script], { encoding: 'utf8' }).trim();
  } catch {
    console.warn('the doctor is not tested: there is no python3 here');
    return undefined;
  }
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tb-doctor-'));
  [bin, site, cacheFolder] = ['bin', 'site', 'cache'].map((name) => join(root, name));
  for (const folder of [bin, site]) mkdirSync(folder);
  environment = { PATH: bin, HOME: root };
  program('python3', `exec ${realPython} -S -c "import sys; sys.path.insert(0, '${site}'); exec(sys.argv[1])" "$2"`);
  for (const tool of ['c++', 'make']) program(tool, 'exit 0');
  installWheel('2.21.0');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function program(name: string, script: string): void {
  rmSync(join(bin, name), { force: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

function write(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
}

function installWheel(version: string, build = "('is_cuda_build', False)"): void {
  rmSync(site, { recursive: true, force: true });
  const tensorflow = join(site, 'tensorflow');
  write(join(tensorflow, '__init__.py'), 'raise RuntimeError("TensorFlow was imported")\n');
  write(join(tensorflow, 'python/platform/build_info.py'), `build_info = collections.OrderedDict([${build}])\n`);
  write(join(tensorflow, 'include/tensorflow/c/eager/c_api.h'), '');
  for (const library of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) write(join(tensorflow, library), '');
  write(
    join(site, `tensorflow-${version}.dist-info/METADATA`),
    `Metadata-Version: 2.1\nName: tensorflow\nVersion: ${version}\n`,
  );
}

const cudaBuild = "('is_cuda_build', True), ('cuda_version', '12.5.1'), ('cudnn_version', '9')";

function installCuda(): void {
  installWheel('2.21.0', cudaBuild);
  for (const library of ['cuda_runtime/lib/libcudart.so.12', 'cublas/lib/libcublas.so.12', 'cudnn/lib/libcudnn.so.9']) {
    write(join(site, 'nvidia', library), '');
  }
  program('nvidia-smi', 'echo "550.54.15, NVIDIA H100 80GB HBM3"');
}

/** A link to an addon that this Node can load and that says it is TensorFlow. */
function link(
  addonSource = `exports.TF_Version = '2.21.0'; exports.isUsingGpuDevice = () => process.env.USES_GPU === 'yes';`,
) {
  const addon = join(cacheFolder, 'addon.cjs');
  write(addon, addonSource);
  const packageFolder = join(cacheFolder, 'package');
  mkdirSync(packageFolder, { recursive: true });
  const tensorflow = { python: 'python3', version: '2.21.0', folder: join(site, 'tensorflow') };
  writeLinkRecord(cacheFolder, {
    format: 1,
    device: 'cpu',
    addon,
    addonHash: hashFile(addon),
    packageFolder,
    tensorflow,
  });
  return addon;
}

async function firstProblem(
  options: DoctorOptions = {},
): Promise<{ code: ProblemCode; remedy: string; message: string }> {
  const checks = await tensorflowDoctor({ python: join(bin, 'python3'), cacheFolder, environment, ...options });
  const failed = checks.find((check) => !check.ok);
  if (!failed || failed.ok) throw new Error(`no check failed: ${JSON.stringify(checks)}`);
  return failed.problem;
}

describe.skipIf(!realPython)('the doctor names what was taken away', () => {
  test('nothing: every check passes, and TensorFlow is not imported to find out', async () => {
    link();
    const checks = await tensorflowDoctor({ python: join(bin, 'python3'), cacheFolder, environment });
    expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['TensorFlow', true],
      ['link', true],
      ['addon', true],
    ]);
  });

  test('no Python', async () => {
    const { code, remedy } = await firstProblem({ python: join(bin, 'python9') });
    expect(code).toBe('no-python');
    expect(remedy).toContain('--python');
    const mute = join(bin, 'mute');
    writeFileSync(mute, '#!/bin/sh\n', { mode: 0o755 });
    expect((await firstProblem({ python: mute })).message).toContain(`${mute} does not answer as a Python does`);
  });

  test('no TensorFlow', async () => {
    rmSync(site, { recursive: true });
    mkdirSync(site);
    const { code, remedy } = await firstProblem();
    expect(code).toBe('no-tensorflow');
    expect(remedy).toContain('pip install tensorflow-cpu');
  });

  test('wheel too old', async () => {
    installWheel('2.9.1');
    const { code, message, remedy } = await firstProblem();
    expect(code).toBe('tensorflow-too-old');
    expect(message).toContain('must be 2.12 or newer');
    expect(remedy).toContain('--upgrade tensorflow');
  });

  test('wheel without the library', async () => {
    rmSync(join(site, 'tensorflow/libtensorflow_cc.so.2'));
    expect((await firstProblem()).code).toBe('tensorflow-too-old');
  });

  test('no headers', async () => {
    rmSync(join(site, 'tensorflow/include'), { recursive: true });
    const { code, remedy } = await firstProblem();
    expect(code).toBe('no-headers');
    expect(remedy).toContain('--force-reinstall --no-deps tensorflow==2.21.0');
  });

  test('not linked', async () => {
    const { code, remedy } = await firstProblem();
    expect(code).toBe('not-linked');
    expect(remedy).toContain('tb-train link-tensorflow');
  });

  test('no compiler', async () => {
    rmSync(join(bin, 'c++'));
    const checks = await tensorflowDoctor({ python: join(bin, 'python3'), cacheFolder, environment });
    expect(checks.at(-1)).toMatchObject({ name: 'compiler', ok: false, problem: { code: 'no-compiler' } });
    const wheel = await locateWheel(join(bin, 'python3'), environment);
    const build = { wheel, sources: root, folder: join(root, 'build'), onProgress: () => {}, environment };
    await expect(buildAddon(build)).rejects.toThrow(/a C\+\+ compiler \(c\+\+\)[\s\S]*To fix it: /);
    expect(existsSync(join(root, 'build'))).toBe(false);
  });

  test('TensorFlow upgraded since it was linked', async () => {
    link();
    installWheel('2.22.0');
    const { code, remedy } = await firstProblem();
    expect(code).toBe('link-stale');
    expect(remedy).toContain('link-tensorflow --python');
  });

  test('TensorFlow removed since it was linked', async () => {
    link();
    rmSync(site, { recursive: true });
    expect(() => locateAddon(cacheFolder)).toThrow(/is gone since TensorFlow was linked/);
  });

  describe('nothing linked, but the library that a package downloaded', () => {
    const downloaded = (source: string) => {
      const packageFolder = join(root, 'tfjs-node');
      const addon = join(packageFolder, 'lib', 'napi-v8', 'tfjs_binding.node');
      write(addon, source);
      rmSync(join(bin, 'python3'));
      return { addon, packageFolders: [packageFolder] };
    };

    test('needs no Python, and the doctor reports what is used', async () => {
      const { addon, packageFolders } = downloaded('no library at all');
      expect(locateAddon(cacheFolder, packageFolders)).toMatchObject({ addon, isLinked: false });
      const checks = await tensorflowDoctor({ cacheFolder, environment, packageFolders });
      expect(checks).toMatchObject([
        { name: 'link', ok: true, found: `none; the package's own install script has downloaded ${addon}` },
        { name: 'addon', ok: false, problem: { code: 'addon-does-not-load', remedy: 'tb-train link-tensorflow' } },
      ]);
    });

    test('a link goes before it, and so does the Python that is asked about', async () => {
      const { packageFolders } = downloaded('no library at all');
      const python = join(bin, 'python3');
      expect((await firstProblem({ packageFolders })).code).toBe('no-python');
      const linked = link();
      expect(locateAddon(cacheFolder, packageFolders)).toMatchObject({ addon: linked, isLinked: true });
      expect((await firstProblem({ packageFolders, python })).code).toBe('no-python');
    });
  });

  test('sources that do not compile', async () => {
    const sources = join(root, 'sources');
    write(join(sources, 'binding', 'tfjs_backend.cc'), '#error these are not the sources');
    const wheel = await locateWheel(join(bin, 'python3'), environment);
    const build = { wheel, sources, folder: join(root, 'build'), onProgress: () => {}, environment };
    await expect(buildAddon(build)).rejects.toMatchObject({ code: 'build-failed' });
  });

  test('no sources of the addon, and no npm to fetch them', async () => {
    await expect(findSources(cacheFolder, () => {}, { installed: [], environment })).rejects.toMatchObject({
      code: 'no-sources',
      remedy: `npm install --ignore-scripts @tensorflow/tfjs-node@${tfjsNodeVersion}`,
    });
    expect(existsSync(join(cacheFolder, `tfjs-node-${tfjsNodeVersion}`))).toBe(false);
  });

  test('addon changed since it was built', async () => {
    writeFileSync(link(), 'something else');
    expect((await firstProblem()).code).toBe('addon-damaged');
  });

  test('addon that does not load', async () => {
    link(`throw new Error('libtensorflow_cc.so.2: cannot open shared object file');`);
    const { code, message } = await firstProblem();
    expect(code).toBe('addon-does-not-load');
    expect(message).toContain('libtensorflow_cc.so.2: cannot open shared object file');
  });

  test('addon that kills its process', async () => {
    link('process.abort();');
    expect((await firstProblem()).code).toBe('addon-does-not-load');
  });
});

describe.skipIf(!realPython)('the doctor on the way to a GPU', () => {
  test('a wheel without CUDA', async () => {
    const { code, remedy } = await firstProblem({ device: 'gpu' });
    expect(code).toBe('no-cuda-build');
    expect(remedy).toContain('pip install "tensorflow[and-cuda]"');
    await expect(linkTensorflow({ python: join(bin, 'python3'), device: 'gpu', cacheFolder })).rejects.toThrow(
      /built without CUDA/,
    );
  });

  test('no driver', async () => {
    installCuda();
    rmSync(join(bin, 'nvidia-smi'));
    const { code, remedy } = await firstProblem({ device: 'gpu' });
    expect(code).toBe('no-driver');
    expect(remedy).toContain('--gpus all');
  });

  test('driver too old', async () => {
    installCuda();
    program('nvidia-smi', 'echo "470.256.02, Tesla V100"');
    const { code, message } = await firstProblem({ device: 'gpu' });
    expect(code).toBe('driver-too-old');
    expect(message).toContain('driver 470.256.02 is too old for CUDA 12.5.1, which needs 525 or newer');
  });

  test('CUDA libraries not found', async () => {
    installCuda();
    rmSync(join(site, 'nvidia/cudnn'), { recursive: true });
    const { code, message, remedy } = await firstProblem({ device: 'gpu' });
    expect(code).toBe('no-cuda-libraries');
    expect(message).toMatch(/not found: libcudnn\.so$/m);
    expect(remedy).toContain('"tensorflow[and-cuda]==2.21.0"');
  });

  test('everything there, but TensorFlow still runs on the CPU', async () => {
    installCuda();
    link();
    expect((await firstProblem({ device: 'gpu' })).code).toBe('no-gpu');
  });

  test('everything there', async () => {
    installCuda();
    const addon = link();
    process.env.USES_GPU = 'yes';
    try {
      expect(await probeAddon(addon, 'gpu')).toMatchObject({ usesGpu: true });
    } finally {
      delete process.env.USES_GPU;
    }
    const wheel = await locateWheel(join(bin, 'python3'), environment);
    expect(wheel.cuda).toEqual({ version: '12.5.1', cudnn: '9' });
    expect(wheel.cudaLibraries.map((library) => library.split('/').at(-1))).toEqual([
      'libcublas.so.12',
      'libcudart.so.12',
      'libcudnn.so.9',
    ]);
  });
});
