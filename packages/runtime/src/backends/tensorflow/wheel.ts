import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TensorflowProblem } from './problem.js';
import { runProgram } from './run-program.js';

/** An installed TensorFlow, as its Python sees it. */
export type Wheel = {
  /** The program, by its full path. */
  python: string;
  version: string;
  /** The package's folder, which holds `include` and the libraries. */
  folder: string;
  /** CUDA and cuDNN versions it was built for; absent from a CPU build. */
  cuda?: { version: string; cudnn: string };
  /** Libraries of the NVIDIA packages that `tensorflow[and-cuda]` brings. */
  cudaLibraries: string[];
};

/** The first version whose wheels hold the library with the complete C interface. */
const oldestVersion = [2, 12];
const libraryNames = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];
const header = join('tensorflow', 'c', 'eager', 'c_api.h');

// Reads files instead of importing TensorFlow, which takes seconds and starts CUDA.
const locateScript = `
import importlib.metadata, importlib.util, json, os, sys
spec = importlib.util.find_spec('tensorflow')
folder = os.path.dirname(spec.origin) if spec and spec.origin else None
version = None
for name in ['tensorflow', 'tensorflow-cpu', 'tensorflow-gpu', 'tensorflow-rocm', 'tf-nightly', 'tf-nightly-cpu']:
    try:
        version = version or importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
nvidia = importlib.util.find_spec('nvidia')
build = {}
try:
    import collections, re
    text = open(os.path.join(folder, 'python', 'platform', 'build_info.py')).read()
    for key in ['is_cuda_build', 'cuda_version', 'cudnn_version']:
        found = re.search("'" + key + "', *'?([^',)]*)", text)
        build[key] = found.group(1) if found else None
except (OSError, TypeError):
    pass
print(json.dumps({'python': sys.executable, 'folder': folder, 'version': version, 'build': build,
                  'nvidia': list(nvidia.submodule_search_locations) if nvidia else []}))
`;

/**
 * Finds the TensorFlow that a Python has installed.
 *
 * @throws TensorflowProblem when there is no Python, no TensorFlow, or one that cannot be linked against
 */
export async function locateWheel(python: string, environment: NodeJS.ProcessEnv = process.env): Promise<Wheel> {
  const { code, stdout, stderr } = await runProgram(python, ['-c', locateScript], { env: environment });
  if (code !== 0) throw noPython(`${python} does not run: ${stderr.trim().split('\n').at(-1)}`);
  const { python: path, folder, version, build, nvidia } = parseAnswer(python, stdout);
  if (!folder || !version) {
    throw new TensorflowProblem(
      'no-tensorflow',
      `${python} has no TensorFlow`,
      `${python} -m pip install tensorflow-cpu   (with an NVIDIA GPU: ${python} -m pip install "tensorflow[and-cuda]")`,
    );
  }
  const wheel: Wheel = { python: path || python, version, folder, cudaLibraries: cudaLibraries(nvidia) };
  if (build.is_cuda_build === 'True')
    wheel.cuda = { version: build.cuda_version ?? '', cudnn: build.cudnn_version ?? '' };
  assertLinkable(wheel);
  return wheel;
}

function noPython(message: string): TensorflowProblem {
  return new TensorflowProblem(
    'no-python',
    message,
    'install Python 3 from https://www.python.org, or name one with --python',
  );
}

function parseAnswer(python: string, answer: string) {
  try {
    return JSON.parse(answer);
  } catch {
    throw noPython(`${python} does not answer as a Python does`);
  }
}

function assertLinkable({ python, version, folder }: Wheel): void {
  const [major, minor] = version.split('.').map(Number);
  const isOld = major < oldestVersion[0] || (major === oldestVersion[0] && minor < oldestVersion[1]);
  if (isOld || !libraryNames.every((name) => existsSync(join(folder, name)))) {
    throw new TensorflowProblem(
      'tensorflow-too-old',
      `TensorFlow must be ${oldestVersion.join('.')} or newer with ${libraryNames[0]}, got ${version} in ${folder}`,
      `${python} -m pip install --upgrade tensorflow`,
    );
  }
  if (!existsSync(join(folder, 'include', header))) {
    throw new TensorflowProblem(
      'no-headers',
      `TensorFlow ${version} lacks its headers: ${join(folder, 'include', header)} does not exist`,
      `${python} -m pip install --force-reinstall --no-deps tensorflow==${version}`,
    );
  }
}

/** What TensorFlow opens by name at run time; linked into the addon, the loader finds it without LD_LIBRARY_PATH. */
const openedByName = /^lib(cudart|cublasLt|cublas|cufft|curand|cusolver|cusparse|nvJitLink|cudnn|cupti|nccl)\.so\.\d+$/;

function cudaLibraries(nvidiaFolders: string[]): string[] {
  const found: string[] = [];
  for (const nvidia of nvidiaFolders.filter(existsSync)) {
    for (const entry of readdirSync(nvidia, { recursive: true, encoding: 'utf8' })) {
      if (openedByName.test(entry.split('/').at(-1)!)) found.push(join(nvidia, entry));
    }
  }
  return found.sort();
}
