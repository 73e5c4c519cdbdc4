import { existsSync } from 'node:fs';
import { assertCompiler } from './build-addon.js';
import { defaultCacheFolder } from './cache-folder.js';
import { assertCudaBuild, assertCudaLibraries, assertDriver } from './gpu-checks.js';
import { readLinkRecord } from './link-record.js';
import { type AddonLocation, locateAddon } from './load.js';
import { probeAddon } from './probe.js';
import { TensorflowProblem } from './problem.js';
import { locateWheel, type Wheel } from './wheel.js';

export type DoctorOptions = {
  /** The Python to look into; default: the one that was linked, else `python3`. */
  python?: string;
  /** With 'gpu', also what TensorFlow needs to run on one. */
  device?: 'cpu' | 'gpu';
  cacheFolder?: string;
  /** Environment of the programs that are asked; default `process.env`. */
  environment?: NodeJS.ProcessEnv;
};

/** One thing looked at: what was found, or the problem and what mends it. */
export type Check = { name: string; ok: true; found: string } | { name: string; ok: false; problem: TensorflowProblem };

/**
 * Looks at everything the `tensorflow` backend needs, in the order in which it is needed, and changes nothing. A check
 * whose foundation is missing is left out; the first check that fails is the one to mend.
 */
export async function tensorflowDoctor(options: DoctorOptions = {}): Promise<Check[]> {
  const { device, cacheFolder = defaultCacheFolder(), environment = process.env } = options;
  const python = options.python ?? readLinkRecord(cacheFolder)?.tensorflow.python ?? 'python3';
  const checks: Check[] = [];
  const look = async <T>(name: string, find: () => T | Promise<T>, describe: (found: T) => string) => {
    try {
      const found = await find();
      checks.push({ name, ok: true, found: describe(found) });
      return found;
    } catch (error) {
      if (!(error instanceof TensorflowProblem)) throw error;
      checks.push({ name, ok: false, problem: error });
      return undefined;
    }
  };
  const text = (found: string) => found;

  const wheel = await look(
    'TensorFlow',
    () => locateWheel(python, environment),
    ({ version, folder }) => `${version} in ${folder}`,
  );
  if (wheel && device === 'gpu') {
    await look('CUDA build', () => assertCudaBuild(wheel), text);
    await look('NVIDIA driver', () => assertDriver(wheel, environment), text);
    await look('CUDA libraries', () => assertCudaLibraries(wheel, environment), text);
  }
  const location = await look(
    'link',
    () => locateCurrentAddon(cacheFolder, wheel),
    ({ addon }) => addon,
  );
  if (!location)
    await look(
      'compiler',
      () => assertCompiler(environment),
      () => 'a C++ compiler and make',
    );
  if (location && existsSync(location.addon)) {
    await look(
      'addon',
      () => probeAddon(location.addon, device),
      ({ version, usesGpu }) => `TensorFlow ${version} runs on the ${usesGpu ? 'GPU' : 'CPU'}`,
    );
  }
  return checks;
}

/** The addon, if it was built against the TensorFlow that is installed now. */
function locateCurrentAddon(cacheFolder: string, wheel?: Wheel): AddonLocation {
  const location = locateAddon(cacheFolder);
  const linked = readLinkRecord(cacheFolder)?.tensorflow;
  if (wheel && linked && linked.folder === wheel.folder && linked.version !== wheel.version) {
    throw new TensorflowProblem(
      'link-stale',
      `the addon was built against TensorFlow ${linked.version}, and ${wheel.version} is installed now`,
      `tb-train link-tensorflow --python ${wheel.python}`,
    );
  }
  return location;
}
