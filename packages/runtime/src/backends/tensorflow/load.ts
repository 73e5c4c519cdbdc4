import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { defaultCacheFolder } from './cache-folder.js';
import { commonJsLoader } from './commonjs-loader.js';
import { hashFile, readLinkRecord } from './link-record.js';
import { gpuNotUsed, tensorflowEnvironment } from './probe.js';
import { TensorflowProblem } from './problem.js';
import { tfjsNodeFolders } from './sources.js';

/** How `loadTensorflow` loads TensorFlow. */
export type LoadOptions = {
  /** 'gpu' fails rather than run on the CPU; 'cpu' hides the GPUs; default: what TensorFlow chooses. */
  device?: 'cpu' | 'gpu';
  /** Where `linkTensorflow` recorded its work. */
  cacheFolder?: string;
};

/** TensorFlow's version, what it runs on, and the path of the addon that drives it. */
export type LoadedTensorflow = { version: string; device: 'cpu' | 'gpu'; addon: string };

/** What the addon exports that is used here. */
type Addon = { TF_Version: string; isUsingGpuDevice(): boolean };

type BackendModule = { NodeJSKernelBackend: new (binding: Addon, packageName: string) => tf.KernelBackend };

/** An addon and the package folder whose JavaScript drives it. */
export type AddonLocation = { addon: string; packageFolder: string; isLinked: boolean };

/** tfjs-node calls `isNullOrUndefined`, gone in Node 23, and `isArray`, which warns. */
const utilOfOlderNode = {
  ...Object.fromEntries(
    Object.entries(Object.getOwnPropertyDescriptors(util)).map(([name, { value }]) => [name, value]),
  ),
  isArray: Array.isArray,
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
};

let loaded: LoadedTensorflow | undefined;

/**
 * Registers the `tensorflow` backend: the addon that `linkTensorflow` built, or else the one that the install script of
 * @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node has downloaded.
 *
 * @throws TensorflowProblem that names what is missing and the command that fixes it
 */
export async function loadTensorflow(options: LoadOptions = {}): Promise<LoadedTensorflow> {
  loaded ??= register(locateAddon(options.cacheFolder ?? defaultCacheFolder()), options.device);
  if (options.device === 'gpu' && loaded.device === 'cpu') throw gpuNotUsed();
  return loaded;
}

/**
 * @param packageFolders - of tfjs-node, which may hold a downloaded library
 * @throws TensorflowProblem when nothing is linked or what was linked has changed since
 */
export function locateAddon(cacheFolder: string, packageFolders = tfjsNodeFolders()): AddonLocation {
  const record = readLinkRecord(cacheFolder);
  if (record) {
    const { addon, addonHash, packageFolder, tensorflow } = record;
    const relink = `tb-train link-tensorflow --python ${tensorflow.python}`;
    for (const path of [tensorflow.folder, addon, packageFolder]) {
      if (!existsSync(path))
        throw new TensorflowProblem('link-stale', `${path} is gone since TensorFlow was linked`, relink);
    }
    if (hashFile(addon) !== addonHash) {
      throw new TensorflowProblem('addon-damaged', `${addon} is not the file that was built`, relink);
    }
    return { addon, packageFolder, isLinked: true };
  }
  for (const packageFolder of packageFolders) {
    const addon = downloadedAddon(packageFolder);
    if (addon) return { addon, packageFolder, isLinked: false };
  }
  throw new TensorflowProblem(
    'not-linked',
    'no TensorFlow is linked',
    'python3 -m pip install tensorflow-cpu && tb-train link-tensorflow',
  );
}

/** The addon that a package's own install script has downloaded with its TensorFlow. */
export function downloadedAddon(packageFolder: string): string | undefined {
  const library = join(packageFolder, 'lib');
  if (!existsSync(library)) return undefined;
  const addons = readdirSync(library).map((version) => join(library, version, 'tfjs_binding.node'));
  return addons.filter(existsSync).at(-1);
}

function register({ addon, packageFolder }: AddonLocation, device?: 'cpu' | 'gpu'): LoadedTensorflow {
  Object.assign(process.env, tensorflowEnvironment(device), {
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2', // warnings and errors only
  });
  const require = createRequire(import.meta.url);
  const binding = loadAddon(require, addon);
  const core = require('@tensorflow/tfjs-core');
  const load = commonJsLoader({
    '@tensorflow/tfjs': core, // its backend and kernels need no more of the umbrella package
    '@tensorflow/tfjs-core': core, // this program's copy, so that there is one
    util: utilOfOlderNode,
    './proto/api_pb': {}, // only TensorBoard summaries need it, and it needs a further package
  });
  load(join(packageFolder, 'dist', 'register_all_kernels.js'));
  const { NodeJSKernelBackend } = load(join(packageFolder, 'dist', 'nodejs_kernel_backend.js')) as BackendModule;
  tf.registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, '@tensorflow/tfjs-node'));
  return { version: binding.TF_Version, device: binding.isUsingGpuDevice() ? 'gpu' : 'cpu', addon };
}

function loadAddon(require: NodeJS.Require, addon: string): Addon {
  try {
    return require(addon);
  } catch (error) {
    throw new TensorflowProblem(
      'addon-does-not-load',
      `${addon} does not load: ${(error as Error).message}`,
      'tb-train doctor',
    );
  }
}
