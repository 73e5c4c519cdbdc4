import { existsSync } from 'node:fs';
import { TensorflowProblem } from './problem.js';
import { runProgram } from './run-program.js';
import type { Wheel } from './wheel.js';

/**
 * The oldest driver that runs any program built for a CUDA major version.
 * Source: NVIDIA, "CUDA Compatibility", table of minor version compatibility.
 */
const oldestDriver: Record<string, number> = { 11: 450, 12: 525, 13: 580 };

const kernelDriver = '/proc/driver/nvidia/version';

/** @throws TensorflowProblem when the wheel cannot use a GPU */
export function assertCudaBuild({ cuda, version, folder, python }: Wheel): string {
  if (cuda) return `built for CUDA ${cuda.version}, cuDNN ${cuda.cudnn}`;
  throw new TensorflowProblem(
    'no-cuda-build',
    `TensorFlow ${version} in ${folder} was built without CUDA`,
    `${python} -m pip uninstall -y tensorflow-cpu && ${python} -m pip install "tensorflow[and-cuda]"`,
  );
}

/** @throws TensorflowProblem when there is no NVIDIA driver, or one older than the wheel's CUDA needs */
export async function assertDriver({ cuda }: Wheel, environment: NodeJS.ProcessEnv): Promise<string> {
  const asked = await runProgram('nvidia-smi', ['--query-gpu=driver_version,name', '--format=csv,noheader'], {
    env: environment,
  });
  const [line] = asked.stdout.trim().split('\n');
  if (asked.code !== 0 || !line) {
    const state = existsSync(kernelDriver)
      ? 'its kernel module is loaded, but nvidia-smi fails'
      : 'nvidia-smi does not run';
    throw new TensorflowProblem(
      'no-driver',
      `no NVIDIA driver answers: ${state}`,
      'install the driver from https://www.nvidia.com/drivers; in a container, start it with --gpus all',
    );
  }
  const [driver, name] = line.split(',').map((part) => part.trim());
  const major = cuda?.version.split('.')[0] ?? '';
  if (Number(driver.split('.')[0]) < (oldestDriver[major] ?? 0)) {
    throw new TensorflowProblem(
      'driver-too-old',
      `driver ${driver} is too old for CUDA ${cuda?.version}, which needs ${oldestDriver[major]} or newer`,
      'update the driver from https://www.nvidia.com/drivers, or install a TensorFlow built for an older CUDA',
    );
  }
  return `driver ${driver}, ${name}`;
}

/** @throws TensorflowProblem when neither the NVIDIA packages nor the system hold the CUDA libraries */
export async function assertCudaLibraries(wheel: Wheel, environment: NodeJS.ProcessEnv): Promise<string> {
  const needed = ['libcudart.so', 'libcublas.so', 'libcudnn.so'];
  const { stdout } = await runProgram('ldconfig', ['-p'], { env: environment });
  const missing = needed.filter(
    (name) => !wheel.cudaLibraries.some((library) => library.includes(`/${name}.`)) && !stdout.includes(`${name}.`),
  );
  if (missing.length === 0) return `${wheel.cudaLibraries.length || 'system'} libraries`;
  throw new TensorflowProblem(
    'no-cuda-libraries',
    `CUDA libraries not found: ${missing.join(', ')}`,
    `${wheel.python} -m pip install "tensorflow[and-cuda]==${wheel.version}"`,
  );
}
