import { existsSync } from 'node:fs';
import { assertCompiler } from './build-addon.js';
import { defaultCacheFolder } from './cache-folder.js';
import { assertCudaBuild, assertCudaLibraries, assertDriver } from './gpu-checks.js';
import { readLinkRecord } from './link-record.js';
import { type AddonLocation, downloadedAddon, locateAddon } from './load.js';
import { probeAddon } from './probe.js';
import { TensorflowProblem } from './problem.js';
import { tfjsNodeFolders } from './sources.js';
import { locateWheel, type Wheel } from './wheel.js';

/** What `tensorflowDoctor` checks. */
export type DoctorOptions = {
  /** The Python to check; default: the one that was linked, else `python3`. */
  python?: string;
  /** With 'gpu', also what TensorFlow needs to run on one. */
  device?: 'cpu' | 'gpu';
  cacheFolder?: string;
  /** Folders of tfjs-node's packages; default: those that Node finds. */
  packageFolders?: string[];
  /** Environment of the programs that are asked; default `process.env`. */
  environment?: NodeJS.ProcessEnv;
};

/** The result of one check: what was found, or the problem and how to fix it. */
export type Check = { name: string; ok: true; found: string } | { name: string; ok: false; problem: TensorflowProblem };

/**
 * Checks everything that the `tensorflow` backend needs, in the order in which it is needed, and changes nothing. Checks
 * that depend on a failed one are left out, so the first failure is the one to fix.
 */
export async function tensorflowDoctor(options: DoctorOptions = {}): Promise<Check[]> {
  const { device, cacheFolder = defaultCacheFolder(), environment = process.env } = options;
  const { packageFolders = tfjsNodeFolders() } = options;
  const linked = readLinkRecord(cacheFolder)?.tensorflow;
  const python = options.python ?? linked?.python ?? 'python3';
  // A library that the npm package has downloaded needs no Python.
  const needsWheel = options.python || linked || !packageFolders.some(downloadedAddon);
  const { checks, look } = createChecklist();
  const text = (found: string) => found;

  const findWheel = () => locateWheel(python, environment);
  const describeWheel = ({ version, folder }: Wheel) => `${version} in ${folder}`;
  const wheel = needsWheel ? await look('TensorFlow', findWheel, describeWheel) : undefined;
  if (wheel && device === 'gpu') {
    await look('CUDA build', () => assertCudaBuild(wheel), text);
    await look('NVIDIA driver', () => assertDriver(wheel, environment), text);
    await look('CUDA libraries', () => assertCudaLibraries(wheel, environment), text);
  }
  const location = await look(
    'link',
    () => locateCurrentAddon(cacheFolder, packageFolders, wheel),
    ({ addon, isLinked }) => (isLinked ? addon : `none; the package's own install script has downloaded ${addon}`),
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

/** Checks in the order in which `look` was called; what `look` found is returned, undefined where it is a problem. */
function createChecklist() {
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
  return { checks, look };
}

/** The addon, if it was built against the TensorFlow that is installed now. */
function locateCurrentAddon(cacheFolder: string, packageFolders: string[], wheel?: Wheel): AddonLocation {
  const location = locateAddon(cacheFolder, packageFolders);
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
